namespace KernelAD.Emulator;

/// <summary>What the driver knows of a stream.</summary>
internal sealed class EmulatedStream
{
    /// <summary>Work that is not done yet, the oldest first.</summary>
    public Queue<StreamWork> Work { get; } = new();

    /// <summary>The capture that the stream is part of; null if it does its work.</summary>
    public CaptureSequence? Capture { get; private set; }

    /// <summary>The nodes of the capture that the stream's next node has to wait for.</summary>
    public IReadOnlyCollection<int> Frontier { get; private set; } = [];

    /// <summary>Makes the stream part of a capture, or lets its next node wait for more nodes of the capture it is part of.</summary>
    public void Join(CaptureSequence capture, IReadOnlyCollection<int> nodes)
    {
        Capture = capture;
        Frontier = [.. Frontier.Union(nodes)];
    }

    /// <summary>Makes a node what the next one has to wait for.</summary>
    public void Advance(int node) => Frontier = [node];

    /// <summary>Ends its part in a capture.</summary>
    public void Leave() => (Capture, Frontier) = (null, []);
}
