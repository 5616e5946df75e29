namespace KernelAD.WeightsConverter.Archives;

/// <summary>A broken container; whoever knows the file turns it into a <see cref="CheckpointException"/>.</summary>
internal sealed class ArchiveException(string message) : Exception(message);
