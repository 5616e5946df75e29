using System.Runtime.CompilerServices;

namespace KernelAD.Kernels.Device;

/// <summary>Sums and maxima, a thread's share of them.</summary>
internal static class Accumulation
{
    /// <summary>What a maximum begins with.</summary>
    public const float LowerThanAll = float.NegativeInfinity;

    /// <summary>The sum or maximum of every stride-th element, in four chains.</summary>
    /// <param name="a">The operation, and where the elements are.</param>
    /// <param name="element">Index of the first.</param>
    /// <param name="stride">Elements from one to the next.</param>
    /// <param name="count">Their number.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Of(ReduceArguments a, long element, int stride, int count)
    {
        float none = a.Operation == ReduceOperation.Max ? LowerThanAll : 0;
        F4 totals = new() { X = none, Y = none, Z = none, W = none };
        long step = stride;
        for (; count >= 4; count -= 4)
        {
            totals.X = Combine(a.Operation, totals.X, Elements.Load(a.X, element, a.XType));
            totals.Y = Combine(a.Operation, totals.Y, Elements.Load(a.X, element + step, a.XType));
            totals.Z = Combine(a.Operation, totals.Z, Elements.Load(a.X, element + (2 * step), a.XType));
            totals.W = Combine(a.Operation, totals.W, Elements.Load(a.X, element + (3 * step), a.XType));
            element += 4 * step;
        }

        for (; count > 0; count--)
        {
            totals.X = Combine(a.Operation, totals.X, Elements.Load(a.X, element, a.XType));
            element += step;
        }

        return Combine(a.Operation, Combine(a.Operation, totals.X, totals.Y), Combine(a.Operation, totals.Z, totals.W));
    }

    /// <summary>The sum, or the maximum, which is NaN if one of both is.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Combine(ReduceOperation operation, float a, float b) => operation == ReduceOperation.Max ? Numbers.MaxOrNaN(a, b) : a + b;
}
