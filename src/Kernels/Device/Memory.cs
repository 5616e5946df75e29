using System.Runtime.CompilerServices;
using ILGPU.Runtime.Cuda;

namespace KernelAD.Kernels.Device;

/// <summary>Loads and stores of global memory by address. Vectors are aligned to their size.</summary>
internal static class Global
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Float(long address)
    {
        CudaAsm.Emit("ld.global.f32 %0, [%1];", out float value, address);
        return value;
    }

    /// <summary>A float that nobody writes while the kernel runs: weights, biases.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Constant(long address)
    {
        CudaAsm.Emit("ld.global.nc.f32 %0, [%1];", out float value, address);
        return value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Int(long address)
    {
        CudaAsm.Emit("ld.global.nc.s32 %0, [%1];", out int value, address);
        return value;
    }

    /// <summary>A half, widened.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Half(long address)
    {
        CudaAsm.Emit("{ .reg .b16 h; ld.global.b16 h, [%1]; cvt.f32.f16 %0, h; }", out float value, address);
        return value;
    }

    /// <summary>Two halves at an address that need not be aligned to both, as they are in memory; from byte <paramref name="bytes"/> on zeros, nothing read.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint HalvesOrZero(long address, int bytes)
    {
        CudaAsm.Emit(
            "{ .reg .pred p, q; .reg .b16 l, h; setp.gt.s32 p, %2, 0; setp.gt.s32 q, %2, 2; mov.b16 l, 0; mov.b16 h, 0;"
            + " @p ld.global.b16 l, [%1]; @q ld.global.b16 h, [%1+2]; mov.b32 %0, {l, h}; }",
            out uint halves,
            address,
            bytes);
        return halves;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static F4 Float4(long address)
    {
        Output<float> x = default, y = default, z = default, w = default;
        Input<long> from = address;
        CudaAsm.EmitRef("ld.global.v4.f32 {%0,%1,%2,%3}, [%4];", ref x, ref y, ref z, ref w, ref from);
        return new F4 { X = x.Value, Y = y.Value, Z = z.Value, W = w.Value };
    }

    /// <summary>Eight bytes that nobody writes while the kernel runs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static U2 UInt2(long address)
    {
        Output<uint> x = default, y = default;
        Input<long> from = address;
        CudaAsm.EmitRef("ld.global.nc.v2.u32 {%0,%1}, [%2];", ref x, ref y, ref from);
        return new U2 { X = x.Value, Y = y.Value };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static U4 UInt4(long address)
    {
        Output<uint> x = default, y = default, z = default, w = default;
        Input<long> from = address;
        CudaAsm.EmitRef("ld.global.v4.u32 {%0,%1,%2,%3}, [%4];", ref x, ref y, ref z, ref w, ref from);
        return new U4 { X = x.Value, Y = y.Value, Z = z.Value, W = w.Value };
    }

    /// <summary>Four halves, widened.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static F4 Half4(long address)
    {
        Output<float> x = default, y = default, z = default, w = default;
        Input<long> from = address;
        CudaAsm.EmitRef(
            "{ .reg .b16 h<4>; ld.global.v4.b16 {h0, h1, h2, h3}, [%4]; cvt.f32.f16 %0, h0; cvt.f32.f16 %1, h1; cvt.f32.f16 %2, h2; cvt.f32.f16 %3, h3; }",
            ref x,
            ref y,
            ref z,
            ref w,
            ref from);
        return new F4 { X = x.Value, Y = y.Value, Z = z.Value, W = w.Value };
    }

    /// <summary>Copies 16 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy16(long to, long from) =>
        CudaAsm.Emit("{ .reg .b32 x, y, z, w; ld.global.v4.b32 {x, y, z, w}, [%1]; st.global.v4.b32 [%0], {x, y, z, w}; }", to, from);

    /// <summary>Copies 4 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy4(long to, long from) => CudaAsm.Emit("{ .reg .b32 x; ld.global.b32 x, [%1]; st.global.b32 [%0], x; }", to, from);

    /// <summary>Copies 2 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Copy2(long to, long from) => CudaAsm.Emit("{ .reg .b16 x; ld.global.b16 x, [%1]; st.global.b16 [%0], x; }", to, from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(long address, float value) => CudaAsm.Emit("st.global.f32 [%0], %1;", address, value);

    /// <summary>Stores a float as a half, rounded to nearest even.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreHalf(long address, float value) =>
        CudaAsm.Emit("{ .reg .b16 h; cvt.rn.f16.f32 h, %1; st.global.b16 [%0], h; }", address, value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store4(long address, F4 value) =>
        CudaAsm.Emit("st.global.v4.f32 [%0], {%1,%2,%3,%4};", address, value.X, value.Y, value.Z, value.W);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store2(long address, uint x, uint y) => CudaAsm.Emit("st.global.v2.u32 [%0], {%1,%2};", address, x, y);
}

/// <summary>
/// The block's dynamic shared memory, addressed by 32-bit offsets in the shared window. The compiler step declares <c>smem</c>, 128-byte aligned.
/// </summary>
internal static class Shared
{
    /// <summary>Address of the first byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Base()
    {
        CudaAsm.Emit("mov.u32 %0, smem;", out uint address);
        return address;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Float(uint address)
    {
        CudaAsm.Emit("ld.shared.f32 %0, [%1];", out float value, address);
        return value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint UInt(uint address)
    {
        CudaAsm.Emit("ld.shared.u32 %0, [%1];", out uint value, address);
        return value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static F4 Float4(uint address)
    {
        Output<float> x = default, y = default, z = default, w = default;
        Input<uint> from = address;
        CudaAsm.EmitRef("ld.shared.v4.f32 {%0,%1,%2,%3}, [%4];", ref x, ref y, ref z, ref w, ref from);
        return new F4 { X = x.Value, Y = y.Value, Z = z.Value, W = w.Value };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(uint address, float value) => CudaAsm.Emit("st.shared.f32 [%0], %1;", address, value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(uint address, uint value) => CudaAsm.Emit("st.shared.u32 [%0], %1;", address, value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store2(uint address, float x, float y) => CudaAsm.Emit("st.shared.v2.f32 [%0], {%1,%2};", address, x, y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store2(uint address, uint x, uint y) => CudaAsm.Emit("st.shared.v2.u32 [%0], {%1,%2};", address, x, y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store4(uint address, F4 value) =>
        CudaAsm.Emit("st.shared.v4.f32 [%0], {%1,%2,%3,%4};", address, value.X, value.Y, value.Z, value.W);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store4(uint address, U4 value) =>
        CudaAsm.Emit("st.shared.v4.u32 [%0], {%1,%2,%3,%4};", address, value.X, value.Y, value.Z, value.W);
}
