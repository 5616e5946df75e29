namespace KernelAD.Emulator;

/// <summary>An asynchronous copy instruction of a warp that has not landed for all its lanes.</summary>
internal sealed unsafe class PendingCopy
{
    /// <summary>The instruction.</summary>
    public Op* Op { get; set; }

    /// <summary>The lanes for which it has not landed.</summary>
    public uint Lanes { get; set; }

    /// <summary>For each lane the group that it belongs to.</summary>
    public int[] Groups { get; } = new int[Warp.Lanes];

    /// <summary>For each lane the address in global memory.</summary>
    public ulong[] Sources { get; } = new ulong[Warp.Lanes];

    /// <summary>For each lane that address in the host's memory; not set where nothing is read.</summary>
    public nint[] Pointers { get; } = new nint[Warp.Lanes];

    /// <summary>For each lane how many bytes are read.</summary>
    public int[] Lengths { get; } = new int[Warp.Lanes];

    /// <summary>For each lane the address in shared memory.</summary>
    public int[] Destinations { get; } = new int[Warp.Lanes];

    /// <summary>What the warp knew of the others when it issued the copy; empty where races are not looked for.</summary>
    public int[] Clock { get; set; } = [];
}
