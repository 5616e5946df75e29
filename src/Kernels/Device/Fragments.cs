namespace KernelAD.Kernels.Device;

/// <summary>Two floats: a value of each of the two rows of a 16×8 accumulator that a lane shares in.</summary>
internal struct F2
{
    /// <summary>The value of row lane/4.</summary>
    public float X;

    /// <summary>The value of row lane/4 + 8.</summary>
    public float Y;
}

/// <summary>Four floats: one lane's share of a 16×8 accumulator, or 16 bytes of memory.</summary>
internal struct F4
{
    /// <summary>First value.</summary>
    public float X;

    /// <summary>Second value.</summary>
    public float Y;

    /// <summary>Third value.</summary>
    public float Z;

    /// <summary>Fourth value.</summary>
    public float W;
}

/// <summary>Two 32-bit registers: 8 bytes of memory.</summary>
internal struct U2
{
    /// <summary>First register.</summary>
    public uint X;

    /// <summary>Second register.</summary>
    public uint Y;
}

/// <summary>Four 32-bit registers: one lane's share of a 16×32-byte operand, or 16 bytes of memory.</summary>
internal struct U4
{
    /// <summary>First register.</summary>
    public uint X;

    /// <summary>Second register.</summary>
    public uint Y;

    /// <summary>Third register.</summary>
    public uint Z;

    /// <summary>Fourth register.</summary>
    public uint W;
}
