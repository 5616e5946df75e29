using System.Runtime.CompilerServices;
using ILGPU.Runtime.Cuda;

namespace KernelAD.Kernels.Device;

/// <summary>
/// How operands get from global to shared memory. A copy of 0 bytes writes zeros instead and reads nothing: that is how the end of a reduced
/// dimension is filled, because 0 × NaN would not be 0.
/// </summary>
internal interface ICopy
{
    /// <summary>Copies 16 bytes, or zeros them if <paramref name="bytes"/> is 0 instead of 16.</summary>
    void Copy16(uint shared, long global, uint bytes);

    /// <summary>Copies 4 bytes, or zeros them if <paramref name="bytes"/> is 0 instead of 4.</summary>
    void Copy4(uint shared, long global, uint bytes);

    /// <summary>Closes the group of copies since the last call.</summary>
    void Commit();

    /// <summary>Waits until this thread's groups have landed, all but the latest one. Other threads see the data after a barrier.</summary>
    void WaitAllButOne();

    /// <summary>The same, all but the latest two.</summary>
    void WaitAllButTwo();

    /// <summary>Waits until all of this thread's groups have landed.</summary>
    void WaitAll();
}

/// <summary>Copies that bypass the registers and land later (sm_80 and up).</summary>
internal struct AsyncCopy : ICopy
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Copy16(uint shared, long global, uint bytes) =>
        CudaAsm.Emit("cp.async.cg.shared.global [%0], [%1], 16, %2;", shared, global, bytes);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Copy4(uint shared, long global, uint bytes) =>
        CudaAsm.Emit("cp.async.ca.shared.global [%0], [%1], 4, %2;", shared, global, bytes);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Commit() => CudaAsm.Emit("cp.async.commit_group;");

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void WaitAllButOne() => CudaAsm.Emit("cp.async.wait_group 1;");

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void WaitAllButTwo() => CudaAsm.Emit("cp.async.wait_group 2;");

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void WaitAll() => CudaAsm.Emit("cp.async.wait_group 0;");
}

/// <summary>Copies through registers that are done at once (sm_75).</summary>
internal struct DirectCopy : ICopy
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Copy16(uint shared, long global, uint bytes) => CudaAsm.Emit(
        "{ .reg .pred p; .reg .b32 x, y, z, w; setp.ne.u32 p, %2, 0; mov.b32 x, 0; mov.b32 y, 0; mov.b32 z, 0; mov.b32 w, 0;"
        + " @p ld.global.v4.b32 {x, y, z, w}, [%1]; st.shared.v4.b32 [%0], {x, y, z, w}; }",
        shared,
        global,
        bytes);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Copy4(uint shared, long global, uint bytes) => CudaAsm.Emit(
        "{ .reg .pred p; .reg .b32 x; setp.ne.u32 p, %2, 0; mov.b32 x, 0; @p ld.global.b32 x, [%1]; st.shared.b32 [%0], x; }", shared, global, bytes);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Commit()
    {
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void WaitAllButOne()
    {
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void WaitAllButTwo()
    {
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void WaitAll()
    {
    }
}
