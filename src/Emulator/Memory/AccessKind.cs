namespace KernelAD.Emulator;

/// <summary>What an access does.</summary>
internal enum AccessKind
{
    /// <summary>It reads.</summary>
    Read,

    /// <summary>It reads bytes only to write them elsewhere, written before or not.</summary>
    CopyRead,

    /// <summary>It writes.</summary>
    Write,

    /// <summary>It writes what is there already.</summary>
    SameWrite,

    /// <summary>It reads and writes in one.</summary>
    Atomic,
}
