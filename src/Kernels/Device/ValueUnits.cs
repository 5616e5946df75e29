using System.Runtime.CompilerServices;
using ILGPU.Runtime.Cuda;

namespace KernelAD.Kernels.Device;

/// <summary>Softmax weights of 16 keys as left operand of a product with the values. fp16 takes four registers, tf32 eight.</summary>
internal struct Weights16
{
    /// <summary>fp16: all 16 keys; tf32: keys 0 … 7.</summary>
    public U4 Low;

    /// <summary>tf32: keys 8 … 15.</summary>
    public U4 High;
}

/// <summary>
/// The second product of attention, o(16×16) += p(16×16)·v(16×16): p comes out of accumulators (layout of <see cref="IMatrixUnit"/>), v lies in shared memory with a
/// key's values side by side, which is K-strided for this product. Rows of v are an odd multiple of 16 bytes apart, so that 8 rows lie in different banks.
/// </summary>
internal interface IValueUnit
{
    /// <summary>This lane's address in the first 16 keys and 16 columns of <paramref name="values"/>.</summary>
    uint Start(uint values, int lane, uint pitch);

    /// <summary>Turns the accumulators of keys 0 … 7 and 8 … 15 into operands.</summary>
    Weights16 Pack(F4 left, F4 right);

    /// <summary>Adds p·v for 16 keys to the accumulators of columns 0 … 7 and 8 … 15.</summary>
    void Multiply<TUnit>(TUnit unit, ref F4 left, ref F4 right, Weights16 p, uint v, uint pitch)
        where TUnit : struct, IMatrixUnit;
}

/// <summary>fp16: accumulators are laid out as the left operand is, v is transposed by ldmatrix.</summary>
internal struct HalfValues : IValueUnit
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly uint Start(uint values, int lane, uint pitch) => values + ((uint)(lane & 15) * pitch) + ((uint)(lane >> 4) * 16);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly Weights16 Pack(F4 left, F4 right)
    {
        U4 p = default;
        p.X = Numbers.PackHalves(left.X, left.Y);
        p.Y = Numbers.PackHalves(left.Z, left.W);
        p.Z = Numbers.PackHalves(right.X, right.Y);
        p.W = Numbers.PackHalves(right.Z, right.W);
        return new Weights16 { Low = p };
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Multiply<TUnit>(TUnit unit, ref F4 left, ref F4 right, Weights16 p, uint v, uint pitch)
        where TUnit : struct, IMatrixUnit
    {
        U4 b = LoadMatrix.FourTransposed(v);
        unit.Multiply(ref left, p.Low, b.X, b.Y);
        unit.Multiply(ref right, p.Low, b.Z, b.W);
    }
}

/// <summary>
/// tf32: the order of keys within a sum is free, so keys 2t and 2t+1, which a lane has, are taken for those that the operand's layout asks for, t and t+4. v comes
/// by 4-byte loads, whose lanes then are two rows apart: 32 different banks.
/// </summary>
internal struct Tf32Values : IValueUnit
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly uint Start(uint values, int lane, uint pitch) => values + ((uint)(lane & 3) * 2 * pitch) + ((uint)(lane >> 2) * sizeof(float));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly Weights16 Pack(F4 left, F4 right) => new() { Low = Pack(left), High = Pack(right) };

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Multiply<TUnit>(TUnit unit, ref F4 left, ref F4 right, Weights16 p, uint v, uint pitch)
        where TUnit : struct, IMatrixUnit
    {
        const uint Right = 8 * sizeof(float);
        uint high = v + (8 * pitch);
        unit.Multiply(ref left, p.Low, Shared.UInt(v), Shared.UInt(v + pitch));
        unit.Multiply(ref right, p.Low, Shared.UInt(v + Right), Shared.UInt(v + pitch + Right));
        unit.Multiply(ref left, p.High, Shared.UInt(high), Shared.UInt(high + pitch));
        unit.Multiply(ref right, p.High, Shared.UInt(high + Right), Shared.UInt(high + pitch + Right));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static U4 Pack(F4 p)
    {
        U4 a = default;
        a.X = Round(p.X);
        a.Y = Round(p.Z);
        a.Z = Round(p.Y);
        a.W = Round(p.W);
        return a;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Round(float x)
    {
        CudaAsm.Emit("cvt.rna.tf32.f32 %0, %1;", out uint y, x);
        return y;
    }
}
