namespace KernelAD.Emulator;

/// <summary>How the interpreter executes an <see cref="Op"/>, which is also the type of its <see cref="Op.Handler"/>.</summary>
internal enum OpKind : byte
{
    /// <summary>Computes a row of 32-bit values: <c>delegate*&lt;byte*, Op*, byte*, void&gt;</c> of register file, operation and destination.</summary>
    Row32,

    /// <summary>Computes a row of 64-bit values; same type.</summary>
    Row64,

    /// <summary>Computes a predicate: <c>delegate*&lt;byte*, Op*, uint&gt;</c> of register file and operation, one bit a lane.</summary>
    Predicate,

    /// <summary>Anything else that does not change the flow: <c>delegate*&lt;WarpState, Op*, uint, void&gt;</c> of warp, operation and active lanes.</summary>
    General,

    /// <summary>Goes to <see cref="Op.Target"/>.</summary>
    Branch,

    /// <summary>Where the two ways of a branch meet again.</summary>
    Join,

    /// <summary>Ends threads.</summary>
    Exit,

    /// <summary>Waits for other warps of the block; same type as <see cref="General"/>.</summary>
    Barrier,
}
