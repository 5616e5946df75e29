namespace KernelAD.Emulator;

/// <summary>What the driver knows of an event.</summary>
/// <param name="takesTime">Whether the time between it and another one can be told.</param>
internal sealed class EmulatedEvent(bool takesTime)
{
    /// <summary>Whether the time between it and another one can be told.</summary>
    public bool TakesTime { get; } = takesTime;

    /// <summary>The place that it was last recorded at; null if it never was, or was last recorded in a capture.</summary>
    public Completion? Recorded { get; private set; }

    /// <summary>The capture that it was last recorded in; null if it was not.</summary>
    public CaptureSequence? Capture { get; private set; }

    /// <summary>The nodes that it stands for in that capture.</summary>
    public IReadOnlyCollection<int> Nodes { get; private set; } = [];

    /// <summary>Records it in a stream.</summary>
    public void Record(Completion place) => (Recorded, Capture, Nodes) = (place, null, []);

    /// <summary>Records it in a capture.</summary>
    public void Record(CaptureSequence capture, IReadOnlyCollection<int> nodes) => (Recorded, Capture, Nodes) = (null, capture, nodes);
}
