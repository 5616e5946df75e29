using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Emulator;

/// <summary>
/// f16 and bf16 to f32 and back, eight at a time in the low halves of 32-bit lanes. .NET has no vector instruction for binary16, so its bits are moved into
/// place and scaled, which is exact for every value, subnormals included.
/// </summary>
internal static class HalfVectors
{
    /// <summary>f16 in the low 16 bits of each lane; the bits above are ignored. NaNs stay NaNs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LowF16(Vector256<uint> bits) => HighF16(bits << 16);

    /// <summary>f16 in the high 16 bits of each lane; the bits below are ignored.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> HighF16(Vector256<uint> bits)
    {
        // With sign, exponent and fraction at their new places a number is 2^112 too small: 127 − 15 is the difference of the biases.
        Vector256<int> placed = (bits.AsInt32() >> 3) & Vector256.Create(unchecked((int)0x8FFFE000));
        Vector256<int> scaled = (placed.AsSingle() * Vector256.Create(5.192296858534828e33f)).AsInt32();
        Vector256<int> top = Vector256.Create(0x0F800000);
        Vector256<int> special = Vector256.Equals(placed & top, top) & Vector256.Create(0x7F800000);
        return (scaled | special).AsSingle();
    }

    /// <summary>bf16 in the low 16 bits of each lane; the bits above are ignored.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> LowBF16(Vector256<uint> bits) => (bits << 16).AsSingle();

    /// <summary>bf16 in the high 16 bits of each lane; the bits below are ignored.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> HighBF16(Vector256<uint> bits) => (bits & Vector256.Create(0xFFFF0000u)).AsSingle();

    /// <summary>The nearest f16, ties to even, in the low 16 bits; NaN becomes 0x7FFF.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> ToF16(Vector256<float> values)
    {
        Vector256<uint> bits = values.AsUInt32();
        Vector256<uint> magnitude = bits & Vector256.Create(0x7FFFFFFFu);

        // Normal: add half a unit of the 13 bits that go, less one unless the bit above them is odd. A carry raises the exponent, up to infinity.
        Vector256<uint> odd = (magnitude >> 13) & Vector256<uint>.One;
        Vector256<uint> normal = Vector256.Min((magnitude + Vector256.Create(0xFFFu) + odd - Vector256.Create(112u << 23)) >> 13, Vector256.Create(0x7C00u));

        // Subnormal: one half is where a float's unit is a subnormal's, 2^-24, so that the addition rounds.
        Vector256<uint> subnormal = (magnitude.AsSingle() + Vector256.Create(0.5f)).AsUInt32() - Vector256.Create(0.5f).AsUInt32();

        Vector256<uint> result = Vector256.ConditionalSelect(Vector256.LessThan(magnitude, Vector256.Create(113u << 23)), subnormal, normal);
        result |= (bits >> 16) & Vector256.Create(0x8000u);
        return Vector256.ConditionalSelect(Vector256.GreaterThan(magnitude, Vector256.Create(0x7F800000u)), Vector256.Create(0x7FFFu), result);
    }

    /// <summary>The nearest bf16, ties to even, in the low 16 bits; NaN becomes 0x7FFF.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> ToBF16(Vector256<float> values)
    {
        Vector256<uint> bits = values.AsUInt32();
        Vector256<uint> rounded = (bits + Vector256.Create(0x7FFFu) + ((bits >> 16) & Vector256<uint>.One)) >> 16;
        Vector256<uint> nan = Vector256.GreaterThan(bits & Vector256.Create(0x7FFFFFFFu), Vector256.Create(0x7F800000u));
        return Vector256.ConditionalSelect(nan, Vector256.Create(0x7FFFu), rounded);
    }

    /// <summary>Every NaN made NVIDIA's canonical one, so that results do not depend on how the host chooses among NaNs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Canonicalize(Vector256<float> values) =>
        Vector256.ConditionalSelect(Vector256.Equals(values, values), values, Vector256.Create(0x7FFFFFFFu).AsSingle());

    /// <summary>Subnormals made zeros of their sign.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> FlushSubnormals(Vector256<float> values)
    {
        Vector256<uint> bits = values.AsUInt32();
        Vector256<uint> subnormal = Vector256.LessThan(bits & Vector256.Create(0x7FFFFFFFu), Vector256.Create(0x00800000u));
        return Vector256.ConditionalSelect(subnormal, bits & Vector256.Create(0x80000000u), bits).AsSingle();
    }

    /// <summary>The same for numbers of 16 bits.</summary>
    /// <param name="values">The numbers.</param>
    /// <param name="smallestNormal">The smallest normal number's bits.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<ushort> FlushSubnormals(Vector256<ushort> values, ushort smallestNormal)
    {
        Vector256<ushort> sign = Vector256.Create((ushort)0x8000);
        return Vector256.ConditionalSelect(Vector256.LessThan(values & ~sign, Vector256.Create(smallestNormal)), values & sign, values);
    }
}
