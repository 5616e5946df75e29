namespace KernelAD.WeightsConverter.Pickle;

/// <summary>A pickle that cannot be read; whoever knows the file turns it into a <see cref="CheckpointException"/>.</summary>
internal sealed class PickleException(string message) : Exception(message);
