using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Emulator;

/// <summary>A form of <c>cvt</c> (PTX ISA, "Data Movement and Conversion Instructions: cvt").</summary>
/// <param name="To">The destination's type: no bits, no pair.</param>
/// <param name="From">The source's type.</param>
/// <param name="Rounding">Which neighbour; between integers it does not matter.</param>
/// <param name="Integral">Whether a float becomes an integral float (<c>.rni</c>, <c>.rzi</c>, <c>.rmi</c>, <c>.rpi</c> between floats).</param>
/// <param name="Ftz">Whether f32 subnormals count as zero, as source and as result.</param>
/// <param name="Saturate">
/// Between integers: whether values stop at the limits instead of losing their top bits, as floats to integers always do.
/// To floats: whether results are limited to 0…1.
/// </param>
/// <param name="Relu">Whether negative floats become zero.</param>
/// <remarks>
/// Beyond rounding: NaN to an integer gives 0, but from f64, or to 64 bits, only the top bit set. NaN to a float gives the canonical NaN, or 0 with <c>.sat</c>.
/// A float beyond the destination's range becomes what IEEE 754 says for the rounding: infinity, or the largest number.
/// </remarks>
internal readonly record struct Conversion(
    PtxType To, PtxType From, Rounding Rounding = Rounding.NearestEven, bool Integral = false, bool Ftz = false, bool Saturate = false, bool Relu = false)
{
    /// <summary>Converts all lanes.</summary>
    /// <param name="d">The destination's row: 64 bits a lane for a 64-bit type, 32 for others; s8 and s16 are sign-extended, others zero-extended.</param>
    /// <param name="a">The source's row; may be the destination if both have the same size.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public unsafe void Execute(void* d, void* a)
    {
        if (!Ftz && !Saturate && !Relu && TryExecuteFast(d, a))
        {
            return;
        }

        bool wideSource = From.Size() == 8, wideDestination = To.Size() == 8;
        for (int lane = 0; lane < Warp.Lanes; lane++)
        {
            ulong result = Convert(wideSource ? ((ulong*)a)[lane] : ((uint*)a)[lane]);
            if (wideDestination)
            {
                ((ulong*)d)[lane] = result;
            }
            else
            {
                ((uint*)d)[lane] = (uint)result;
            }
        }
    }

    /// <summary>Converts two rows of f32 to f16 or bf16 and packs them (<c>.f16x2</c>, <c>.bf16x2</c>).</summary>
    /// <param name="d">The destination's row.</param>
    /// <param name="high">What goes to the high halves: <c>cvt</c>'s first source operand.</param>
    /// <param name="low">What goes to the low halves.</param>
    [SkipLocalsInit]
    public unsafe void ExecutePacked(uint* d, uint* high, uint* low)
    {
        uint* halves = stackalloc uint[2 * Warp.Lanes];
        Execute(halves, high);
        Execute(halves + Warp.Lanes, low);
        for (int i = 0; i < Warp.Lanes; i += Vector256<uint>.Count)
        {
            ((Vector256.Load(halves + i) << 16) | Vector256.Load(halves + Warp.Lanes + i)).Store(d + i);
        }
    }

    /// <summary>Converts one value, given and returned in the low bits.</summary>
    public ulong Convert(ulong bits)
    {
        FloatFormat? source = FloatFormat.Of(From), destination = FloatFormat.Of(To);
        if (source is null)
        {
            Int128 value = ReadInteger(bits);
            return destination is null ? ToInteger(value) : Finish(destination, destination.Round(ExactNumber.FromInteger(value), Rounding));
        }

        if (source.IsNaN(bits))
        {
            return destination is not null ? Finish(destination, destination.CanonicalNaN)
                : From == PtxType.F64 || To.Size() == 8 ? Extend(1UL << ((8 * To.Size()) - 1))
                : 0;
        }

        if (Ftz && From == PtxType.F32 && source.IsSubnormal(bits))
        {
            bits = source.ZeroLike(bits);
        }

        ExactNumber number = source.Unpack(bits);
        if (destination is null)
        {
            ulong magnitude = number.ToMultipleOf(0, Rounding);
            return Limit(number.Negative ? -(Int128)magnitude : magnitude);
        }

        if (Integral && number.Exponent < 0)
        {
            number = new ExactNumber(number.Negative, number.ToMultipleOf(0, Rounding), 0);
        }

        return Finish(destination, destination.Round(number, Rounding));
    }

    private ulong Finish(FloatFormat format, ulong bits)
    {
        if (Ftz && To == PtxType.F32 && format.IsSubnormal(bits))
        {
            bits = format.ZeroLike(bits);
        }

        if (format.IsNaN(bits))
        {
            return Saturate ? 0 : bits;
        }

        return format.IsNegative(bits) && (Saturate || Relu) ? 0 : Saturate ? Math.Min(bits, format.One) : bits;
    }

    private Int128 ReadInteger(ulong bits) => From switch
    {
        PtxType.U8 => (byte)bits,
        PtxType.S8 => (sbyte)bits,
        PtxType.U16 => (ushort)bits,
        PtxType.S16 => (short)bits,
        PtxType.U32 => (uint)bits,
        PtxType.S32 => (int)bits,
        PtxType.S64 => (long)bits,
        _ => bits,
    };

    private ulong ToInteger(Int128 value) => Saturate ? Limit(value) : Extend((ulong)(value & ulong.MaxValue));

    private ulong Limit(Int128 value)
    {
        int bits = 8 * To.Size();
        Int128 least = To.IsSigned() ? -(Int128.One << (bits - 1)) : 0;
        Int128 most = (Int128.One << (To.IsSigned() ? bits - 1 : bits)) - 1;
        return Extend((ulong)(Int128.Clamp(value, least, most) & ulong.MaxValue));
    }

    private ulong Extend(ulong bits) => To switch
    {
        PtxType.U8 => (byte)bits,
        PtxType.S8 => (uint)(sbyte)bits,
        PtxType.U16 => (ushort)bits,
        PtxType.S16 => (uint)(short)bits,
        PtxType.U32 or PtxType.S32 => (uint)bits,
        _ => bits,
    };

    /// <summary>The conversions that kernels do in their loops; results are those of <see cref="Convert"/>.</summary>
    private unsafe bool TryExecuteFast(void* d, void* a)
    {
        switch (To, From)
        {
            case (PtxType.F32, PtxType.F16 or PtxType.BF16):
            case (PtxType.F16 or PtxType.BF16, PtxType.F32) when Rounding == Rounding.NearestEven:
            case (PtxType.F32, PtxType.S32 or PtxType.U32) when Rounding == Rounding.NearestEven:
            case (PtxType.S32 or PtxType.U32, PtxType.F32) when Rounding != Rounding.NearestAway:
            case (PtxType.F32, PtxType.F32) when Integral && Rounding != Rounding.NearestAway:
                for (int i = 0; i < Warp.Lanes; i += Vector256<uint>.Count)
                {
                    ConvertVector(Vector256.Load((uint*)a + i)).Store((uint*)d + i);
                }

                return true;
            case (PtxType.U64 or PtxType.S64, PtxType.U32 or PtxType.S32):
                for (int lane = 0; lane < Warp.Lanes; lane++)
                {
                    ((long*)d)[lane] = From == PtxType.S32 ? ((int*)a)[lane] : ((uint*)a)[lane];
                }

                return true;
            case (PtxType.U32 or PtxType.S32, PtxType.U64 or PtxType.S64):
                for (int lane = 0; lane < Warp.Lanes; lane++)
                {
                    ((uint*)d)[lane] = (uint)((ulong*)a)[lane];
                }

                return true;
            default:
                return false;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector256<uint> ConvertVector(Vector256<uint> bits) => (To, From) switch
    {
        (_, PtxType.F16) => HalfVectors.Canonicalize(HalfVectors.LowF16(bits)).AsUInt32(),
        (_, PtxType.BF16) => HalfVectors.Canonicalize(HalfVectors.LowBF16(bits)).AsUInt32(),
        (_, PtxType.S32) => Vector256.ConvertToSingle(bits.AsInt32()).AsUInt32(),
        (_, PtxType.U32) => Vector256.ConvertToSingle(bits).AsUInt32(),
        (PtxType.F16, _) => HalfVectors.ToF16(bits.AsSingle()),
        (PtxType.BF16, _) => HalfVectors.ToBF16(bits.AsSingle()),
        (PtxType.S32, _) => Vector256.ConvertToInt32(RoundToIntegral(bits.AsSingle())).AsUInt32(),
        (PtxType.U32, _) => Vector256.ConvertToUInt32(RoundToIntegral(bits.AsSingle())),
        _ => HalfVectors.Canonicalize(RoundToIntegral(bits.AsSingle())).AsUInt32(),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector256<float> RoundToIntegral(Vector256<float> values) => Rounding switch
    {
        Rounding.Zero => Vector256.Truncate(values),
        Rounding.Down => Vector256.Floor(values),
        Rounding.Up => Vector256.Ceiling(values),
        _ => Vector256.Round(values),
    };
}
