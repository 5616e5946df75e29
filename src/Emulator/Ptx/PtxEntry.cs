namespace KernelAD.Emulator;

/// <summary>A kernel as it is written.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Line">The line of its <c>.entry</c>.</param>
internal sealed record PtxEntry(string Name, int Line)
{
    /// <summary>Its parameters.</summary>
    public List<PtxVariable> Parameters { get; } = [];

    /// <summary>Its shared and local variables.</summary>
    public List<PtxVariable> Variables { get; } = [];

    /// <summary>Module variables that it uses.</summary>
    public HashSet<PtxVariable> ModuleVariables { get; } = [];

    /// <summary>Its instructions.</summary>
    public List<PtxInstruction> Instructions { get; } = [];

    /// <summary>How many registers it uses.</summary>
    public int Registers { get; set; }

    /// <summary>The block's extent by <c>.maxntid</c> or <c>.reqntid</c>; null if the kernel does not say.</summary>
    public int[]? MaxThreads { get; set; }

    /// <summary>Whether blocks must have exactly <see cref="MaxThreads"/>.</summary>
    public bool AreThreadsRequired { get; set; }
}
