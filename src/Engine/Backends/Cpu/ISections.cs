namespace KernelAD.Backends.Cpu;

/// <summary>Whether the product that is stored is whole, as a type so that the JIT makes it part of the kernel: a branch a row would hold up the next tile.</summary>
internal interface ISections
{
    /// <summary>Whether earlier sections of K are to be added to it.</summary>
    static abstract bool AreSeveral { get; }
}

/// <summary>All of K.</summary>
internal readonly struct OneSection : ISections
{
    public static bool AreSeveral => false;
}

/// <summary>The last of several sections.</summary>
internal readonly struct LastSection : ISections
{
    public static bool AreSeveral => true;
}
