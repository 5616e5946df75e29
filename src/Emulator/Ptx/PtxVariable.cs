namespace KernelAD.Emulator;

/// <summary>Where a variable lies.</summary>
internal enum PtxSpace
{
    /// <summary>Any space; the address tells.</summary>
    Generic,
    Global,
    Shared,
    Local,
    Constant,
    Parameter,
}

/// <summary>A variable in memory, or a parameter.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Space">Where it lies.</param>
/// <param name="Alignment">Its alignment in bytes.</param>
/// <param name="Size">Its size in bytes; 0 for dynamic shared memory.</param>
/// <param name="Line">The line of its declaration.</param>
internal sealed record PtxVariable(string Name, PtxSpace Space, int Alignment, long Size, int Line)
{
    /// <summary>Its first byte's offset in its space; set when the space is laid out.</summary>
    public long Offset { get; set; }

    /// <summary>What it holds at first; null for zeros or nothing.</summary>
    public byte[]? Initial { get; init; }
}
