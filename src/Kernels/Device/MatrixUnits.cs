using System.Runtime.CompilerServices;
using ILGPU.Runtime.Cuda;

namespace KernelAD.Kernels.Device;

/// <summary>
/// A tensor-core product of one 32-byte step along K: d(16×8) += a(16×32 bytes) · b(8×32 bytes)ᵀ, accumulated in fp32. Both operands lie K-contiguous in
/// shared memory and come through ldmatrix, whose 8×16-byte pieces are the same whatever the element type.
/// With g = lane / 4 and t = lane % 4 a lane holds d[g][2t, 2t+1] in X, Y and d[g+8][2t, 2t+1] in Z, W.
/// </summary>
internal interface IMatrixUnit
{
    /// <summary>Bytes of an operand's element.</summary>
    int ElementBytes { get; }

    /// <summary>d += a·bᵀ.</summary>
    void Multiply(ref F4 d, U4 a, uint b0, uint b1);
}

/// <summary>fp16 operands, 16 a step (sm_80 and up).</summary>
internal struct HalfUnit : IMatrixUnit
{
    /// <inheritdoc/>
    public readonly int ElementBytes => 2;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Multiply(ref F4 d, U4 a, uint b0, uint b1)
    {
        Ref<float> x = d.X, y = d.Y, z = d.Z, w = d.W;
        Input<uint> a0 = a.X, a1 = a.Y, a2 = a.Z, a3 = a.W, p = b0, q = b1;
        CudaAsm.EmitRef(
            "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};",
            ref x, ref y, ref z, ref w, ref a0, ref a1, ref a2, ref a3, ref p, ref q);
        d.X = x.Value;
        d.Y = y.Value;
        d.Z = z.Value;
        d.W = w.Value;
    }
}

/// <summary>fp16 operands, a step in two halves of 8 (sm_75).</summary>
internal struct HalfUnitTuring : IMatrixUnit
{
    /// <inheritdoc/>
    public readonly int ElementBytes => 2;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Multiply(ref F4 d, U4 a, uint b0, uint b1)
    {
        Ref<float> x = d.X, y = d.Y, z = d.Z, w = d.W;
        Input<uint> a0 = a.X, a1 = a.Y, a2 = a.Z, a3 = a.W, p = b0, q = b1;
        CudaAsm.EmitRef(
            "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%8}, {%0,%1,%2,%3};"
            + " mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%6,%7}, {%9}, {%0,%1,%2,%3};",
            ref x, ref y, ref z, ref w, ref a0, ref a1, ref a2, ref a3, ref p, ref q);
        d.X = x.Value;
        d.Y = y.Value;
        d.Z = z.Value;
        d.W = w.Value;
    }
}

/// <summary>tf32 operands (floats rounded where they were written), 8 a step (sm_80 and up).</summary>
internal struct Tf32Unit : IMatrixUnit
{
    /// <inheritdoc/>
    public readonly int ElementBytes => 4;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Multiply(ref F4 d, U4 a, uint b0, uint b1)
    {
        Ref<float> x = d.X, y = d.Y, z = d.Z, w = d.W;
        Input<uint> a0 = a.X, a1 = a.Y, a2 = a.Z, a3 = a.W, p = b0, q = b1;
        CudaAsm.EmitRef(
            "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};",
            ref x, ref y, ref z, ref w, ref a0, ref a1, ref a2, ref a3, ref p, ref q);
        d.X = x.Value;
        d.Y = y.Value;
        d.Z = z.Value;
        d.W = w.Value;
    }
}

/// <summary>Loads of matrix pieces from shared memory.</summary>
internal static class LoadMatrix
{
    /// <summary>Four 8×16-byte pieces; lanes 8i … 8i+7 give the addresses of the rows of piece i, and register i receives it: row lane/4, bytes 4·(lane%4) ….</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static U4 Four(uint address)
    {
        Output<uint> x = default, y = default, z = default, w = default;
        Input<uint> from = address;
        CudaAsm.EmitRef("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];", ref x, ref y, ref z, ref w, ref from);
        return new U4 { X = x.Value, Y = y.Value, Z = z.Value, W = w.Value };
    }

    /// <summary>The same, each piece of 8×8 halves transposed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static U4 FourTransposed(uint address)
    {
        Output<uint> x = default, y = default, z = default, w = default;
        Input<uint> from = address;
        CudaAsm.EmitRef("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];", ref x, ref y, ref z, ref w, ref from);
        return new U4 { X = x.Value, Y = y.Value, Z = z.Value, W = w.Value };
    }
}
