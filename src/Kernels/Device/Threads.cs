using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime.Cuda;

namespace KernelAD.Kernels.Device;

/// <summary>Where a thread is, and how threads wait for and talk to each other. Blocks are one-dimensional.</summary>
internal static class Threads
{
    /// <summary>Index of the thread in its block.</summary>
    public static int Index => Group.IdxX;

    /// <summary>Index of the thread in its warp.</summary>
    public static int Lane => Group.IdxX & 31;

    /// <summary>Index of the warp in its block.</summary>
    public static int Warp => Group.IdxX >> 5;

    /// <summary>Waits for all threads of the block; their earlier shared-memory accesses are then visible to all.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Barrier() => CudaAsm.Emit("bar.sync 0;");

    /// <summary>The same for the lanes of the warp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WarpBarrier() => CudaAsm.Emit("bar.warp.sync 0xffffffff;");

    /// <summary>The value of the lane whose index differs in the bits of <paramref name="mask"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float ShuffleXor(float value, int mask)
    {
        CudaAsm.Emit("shfl.sync.bfly.b32 %0, %1, %2, 31, 0xffffffff;", out float other, value, mask);
        return other;
    }

    /// <summary>Sum over the warp, in every lane; always added in the same order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float WarpSum(float value)
    {
        value += ShuffleXor(value, 16);
        value += ShuffleXor(value, 8);
        value += ShuffleXor(value, 4);
        value += ShuffleXor(value, 2);
        return value + ShuffleXor(value, 1);
    }

    /// <summary>Largest value of the warp, in every lane; NaN if one of them is NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float WarpMax(float value)
    {
        value = Numbers.MaxOrNaN(value, ShuffleXor(value, 16));
        value = Numbers.MaxOrNaN(value, ShuffleXor(value, 8));
        value = Numbers.MaxOrNaN(value, ShuffleXor(value, 4));
        value = Numbers.MaxOrNaN(value, ShuffleXor(value, 2));
        return Numbers.MaxOrNaN(value, ShuffleXor(value, 1));
    }

    /// <summary>Sum over the 4 lanes that share lane/4, in all of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float SumOfFour(float value)
    {
        value += ShuffleXor(value, 1);
        return value + ShuffleXor(value, 2);
    }

    /// <summary>Sum over the 8 lanes that share lane/8, in all of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float SumOfEight(float value)
    {
        value = SumOfFour(value);
        return value + ShuffleXor(value, 4);
    }

    /// <summary>Maximum over the 4 lanes that share lane/4, in all of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxOfFour(float value)
    {
        value = Numbers.Max(value, ShuffleXor(value, 1));
        return Numbers.Max(value, ShuffleXor(value, 2));
    }

    /// <summary>Maximum over the 8 lanes that share lane/8, in all of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxOfEight(float value)
    {
        value = MaxOfFour(value);
        return Numbers.Max(value, ShuffleXor(value, 4));
    }
}
