using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels;

/// <summary>
/// y = scale · f(a ∘ b) + offset over up to six strided axes: activations, sums, differences, products and quotients with NumPy's broadcasting, squared
/// differences, and, with neither ∘ nor f, every strided copy and conversion. A thread computes four neighbours where all operands allow vectors, else one.
/// <para>One kernel: the switches are uniform over the grid, and the walk through the axes, a product and a shift for each, is short beside the wait
/// for memory.</para> Models: all, for what no epilogue takes. Exact but for GELU and softplus (4.2e-7 absolute), tanh
/// (1e-6 relative), sigmoid, swish, √ and 1/√ (3e-7 relative). Bytes: each operand once.
/// </summary>
internal static class Elementwise
{
    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions() =>
        [KernelCatalog.Kernel<ElementwiseArguments>("elementwise", ElementwiseArguments.Threads, 4, 0, 32, Compute)];

    /// <summary>A thread a unit.</summary>
    public static void Compute(ElementwiseArguments a)
    {
        int unit = (Grid.IdxX * ElementwiseArguments.Threads) + Threads.Index;
        if ((uint)unit >= (uint)a.Units)
        {
            return;
        }

        // Where the unit lies in each operand.
        int count = a.Vectors != 0 ? 4 : 1;
        int rest = Numbers.Divide(unit, a.Extent0), column = (unit - (rest * a.Extent0.Value)) * count;
        long x = (long)column * a.AStrides.Axis0, z = (long)column * a.BStrides.Axis0, y = (long)column * a.YStrides.Axis0;
        if (a.Axes > 1)
        {
            rest = Step(rest, a.Extent1, a.AStrides.Axis1, a.BStrides.Axis1, a.YStrides.Axis1, ref x, ref z, ref y);
        }

        if (a.Axes > 2)
        {
            rest = Step(rest, a.Extent2, a.AStrides.Axis2, a.BStrides.Axis2, a.YStrides.Axis2, ref x, ref z, ref y);
        }

        if (a.Axes > 3)
        {
            rest = Step(rest, a.Extent3, a.AStrides.Axis3, a.BStrides.Axis3, a.YStrides.Axis3, ref x, ref z, ref y);
        }

        if (a.Axes > 4)
        {
            rest = Step(rest, a.Extent4, a.AStrides.Axis4, a.BStrides.Axis4, a.YStrides.Axis4, ref x, ref z, ref y);
        }

        if (a.Axes > 5)
        {
            x += (long)rest * a.AStrides.Axis5;
            z += (long)rest * a.BStrides.Axis5;
            y += (long)rest * a.YStrides.Axis5;
        }

        F4 v = default;
        if (column < a.Columns)
        {
            v = Load(a.A, x, a.AStrides.Axis0, a.Vectors, a.AType);
            if (a.Combination != Combination.None)
            {
                v = Combine(a.Combination, v, Load(a.B, z, a.BStrides.Axis0, a.Vectors, a.BType));
            }

            v = Apply(a.Function, v);
            v.X = Numbers.Fma(a.Scale, v.X, a.Offset);
            v.Y = Numbers.Fma(a.Scale, v.Y, a.Offset);
            v.Z = Numbers.Fma(a.Scale, v.Z, a.Offset);
            v.W = Numbers.Fma(a.Scale, v.W, a.Offset);
        }

        Results.Store(a.Y, y, v, count, a.Type, a.Vectors != 0);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Step(int rest, Divisor extent, int aStride, int bStride, int yStride, ref long x, ref long z, ref long y)
    {
        int outer = Numbers.Divide(rest, extent), index = rest - (outer * extent.Value);
        x += (long)index * aStride;
        z += (long)index * bStride;
        y += (long)index * yStride;
        return outer;
    }

    /// <summary>Loads a unit; without vectors only the first value counts.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 Load(long address, long element, int stride, int vectors, StorageType type)
    {
        if (vectors != 0 && stride == 1)
        {
            return Elements.Load4(address, element, type);
        }

        float v = Elements.Load(address, element, type);
        return new F4 { X = v, Y = v, Z = v, W = v };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 Combine(Combination combination, F4 a, F4 b)
    {
        if (combination == Combination.Add)
        {
            return new F4 { X = a.X + b.X, Y = a.Y + b.Y, Z = a.Z + b.Z, W = a.W + b.W };
        }

        if (combination == Combination.Divide)
        {
            return new F4 { X = Numbers.Divide(a.X, b.X), Y = Numbers.Divide(a.Y, b.Y), Z = Numbers.Divide(a.Z, b.Z), W = Numbers.Divide(a.W, b.W) };
        }

        return combination == Combination.Subtract
            ? new F4 { X = a.X - b.X, Y = a.Y - b.Y, Z = a.Z - b.Z, W = a.W - b.W }
            : new F4 { X = a.X * b.X, Y = a.Y * b.Y, Z = a.Z * b.Z, W = a.W * b.W };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 Apply(ElementFunction function, F4 v)
    {
        if (function == ElementFunction.Square)
        {
            return new F4 { X = v.X * v.X, Y = v.Y * v.Y, Z = v.Z * v.Z, W = v.W * v.W };
        }

        if (function == ElementFunction.Sqrt)
        {
            return new F4 { X = Numbers.Sqrt(v.X), Y = Numbers.Sqrt(v.Y), Z = Numbers.Sqrt(v.Z), W = Numbers.Sqrt(v.W) };
        }

        if (function == ElementFunction.Abs)
        {
            return new F4 { X = Numbers.Abs(v.X), Y = Numbers.Abs(v.Y), Z = Numbers.Abs(v.Z), W = Numbers.Abs(v.W) };
        }

        if (function == ElementFunction.ReciprocalSqrt)
        {
            return new F4
            {
                X = Numbers.ReciprocalSqrt(v.X),
                Y = Numbers.ReciprocalSqrt(v.Y),
                Z = Numbers.ReciprocalSqrt(v.Z),
                W = Numbers.ReciprocalSqrt(v.W),
            };
        }

        // The functions before these four are those of an epilogue.
        return Epilogue.Apply((EpilogueFunction)function, v);
    }
}
