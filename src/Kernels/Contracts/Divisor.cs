using System.Numerics;

namespace KernelAD.Kernels;

/// <summary>
/// Division of 0 … 2^31 − 1 by a fixed number as a product and a shift: n / d = (n · m) >> s with l = ⌈log2 d⌉, s = 31 + l, m = ⌊2^s / d⌋ + 1
/// (Granlund and Montgomery, "Division by invariant integers using multiplication", theorem 4.2: 2^s &lt; m·d ≤ 2^s + 2^l).
/// </summary>
internal struct Divisor
{
    /// <summary>d.</summary>
    public int Value;

    /// <summary>m.</summary>
    public uint Multiplier;

    /// <summary>s.</summary>
    public int Shift;

    /// <summary>Prepares the division by a number of at least 1.</summary>
    public static Divisor Of(int value)
    {
        int shift = 31 + BitOperations.Log2((uint)value) + (BitOperations.IsPow2(value) ? 0 : 1);
        return new Divisor { Value = value, Multiplier = (uint)(((1UL << shift) / (uint)value) + 1), Shift = shift };
    }
}
