namespace KernelAD.Emulator;

/// <summary>Recorded work, not instantiated.</summary>
/// <param name="Nodes">Each after what it has to wait for.</param>
internal sealed record EmulatedGraph(IReadOnlyList<GraphNode> Nodes);
