namespace KernelAD.Emulator;

/// <summary>Recorded work.</summary>
/// <param name="Work">What is done.</param>
/// <param name="Dependencies">The earlier nodes that have to be done before.</param>
internal sealed record GraphNode(StreamWork Work, IReadOnlyCollection<int> Dependencies);
