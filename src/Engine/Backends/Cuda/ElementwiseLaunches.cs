using KernelAD.Interop;
using KernelAD.Kernels;

namespace KernelAD.Backends.Cuda;

/// <summary>Launches of <c>elementwise</c>: arithmetic, copies in any order, padding and conversion.</summary>
internal static class ElementwiseLaunches
{
    private const int MaxAxes = 6;
    private const int VectorElements = 4;

    /// <summary>y = scale · f(a ∘ b) + offset.</summary>
    /// <param name="session">The device.</param>
    /// <param name="extents">Extents of y, outermost first.</param>
    /// <param name="aStrides">Strides of a in elements, 0 where it repeats.</param>
    /// <param name="bStrides">Strides of b; not read if there is no b.</param>
    /// <param name="yStrides">Strides of y.</param>
    /// <param name="columns">How many elements of the last axis a and b have; beyond them y is zero.</param>
    /// <param name="arguments">Addresses, types and functions.</param>
    public static IReadOnlyList<KernelLaunch> Create(
        CudaSession session,
        ReadOnlySpan<int> extents,
        ReadOnlySpan<long> aStrides,
        ReadOnlySpan<long> bStrides,
        ReadOnlySpan<long> yStrides,
        int columns,
        ElementwiseArguments arguments)
    {
        List<Axis> axes = Merge(extents, aStrides, bStrides, yStrides, keepLast: columns != extents[^1]);
        if (axes.Count > MaxAxes)
        {
            throw new NotSupportedException($"an elementwise step has {axes.Count} axes, the kernel takes {MaxAxes}");
        }

        // Columns that are not padded grow with the axis that they were merged into.
        arguments.Columns = columns == extents[^1] ? axes[0].Extent : columns;
        arguments.Axes = axes.Count;
        bool vectors = Vectorises(axes, arguments);
        arguments.Vectors = vectors ? 1 : 0;
        List<KernelLaunch> launches = [];
        AddLaunches(session.Kernel("elementwise"), axes, vectors ? VectorElements : 1, arguments, launches);
        return launches;
    }

    private readonly record struct Axis(int Extent, long A, long B, long Y)
    {
        /// <summary>Whether walking this axis goes on where an inner one ends, in all operands.</summary>
        public bool Continues(Axis inner) =>
            A == inner.A * inner.Extent && B == inner.B * inner.Extent && Y == inner.Y * inner.Extent && (long)Extent * inner.Extent <= int.MaxValue;
    }

    /// <summary>The axes, innermost first, without those of extent 1 and with neighbours merged where every operand walks them in one stride.</summary>
    private static List<Axis> Merge(
        ReadOnlySpan<int> extents, ReadOnlySpan<long> aStrides, ReadOnlySpan<long> bStrides, ReadOnlySpan<long> yStrides, bool keepLast)
    {
        List<Axis> axes = [];
        for (int i = extents.Length - 1; i >= 0; i--)
        {
            Axis axis = new(extents[i], aStrides[i], bStrides.IsEmpty ? 0 : bStrides[i], yStrides[i]);
            bool last = i == extents.Length - 1;
            if (axis.Extent == 1 && !last)
            {
                continue;
            }

            bool mergeable = axes.Count > 0 && !(keepLast && axes.Count == 1);
            if (mergeable && axis.Continues(axes[^1]))
            {
                axes[^1] = axes[^1] with { Extent = axes[^1].Extent * axis.Extent };
            }
            else if (mergeable && axes.Count == 1 && axes[0].Extent == 1)
            {
                axes[0] = axis;
            }
            else
            {
                axes.Add(axis);
            }
        }

        return axes;
    }

    private static bool Vectorises(List<Axis> axes, in ElementwiseArguments a)
    {
        return axes[0].Y == 1 && axes[0].A is 0 or 1 && axes[0].B is 0 or 1
            && axes[0].Extent % VectorElements == 0 && a.Columns % VectorElements == 0
            && Aligned(a.A, a.AType) && Aligned(a.B, a.BType) && Aligned(a.Y, a.Type)
            && axes.Skip(1).All(x => x.A % VectorElements == 0 && x.B % VectorElements == 0 && x.Y % VectorElements == 0);

        static bool Aligned(long address, StorageType type) => Launches.Aligned(address, 0, VectorElements, type);
    }

    /// <summary>Launches for all of the axes; the outermost is cut where a launch would have more units than it can count.</summary>
    private static void AddLaunches(KernelInfo kernel, List<Axis> axes, int unit, ElementwiseArguments a, List<KernelLaunch> launches)
    {
        long units = axes.Aggregate(1L, (product, axis) => product * axis.Extent) / unit;
        Axis outer = axes[^1];
        if (units > int.MaxValue)
        {
            // There is more than one axis: merging keeps each below 2^31.
            int first = outer.Extent / 2;
            ElementwiseArguments rest = a;
            rest.A += first * outer.A * a.AType.Bytes();
            rest.B += a.B == 0 ? 0 : first * outer.B * a.BType.Bytes();
            rest.Y += first * outer.Y * a.Type.Bytes();
            AddLaunches(kernel, [.. axes[..^1], outer with { Extent = first }], unit, a, launches);
            AddLaunches(kernel, [.. axes[..^1], outer with { Extent = outer.Extent - first }], unit, rest, launches);
            return;
        }

        a.Units = (int)units;
        a.Extent0 = Divisor.Of(axes[0].Extent / unit);
        a.Extent1 = Extent(1);
        a.Extent2 = Extent(2);
        a.Extent3 = Extent(3);
        a.Extent4 = Extent(4);
        a.AStrides = Pack(x => x.A);
        a.BStrides = Pack(x => x.B);
        a.YStrides = Pack(x => x.Y);
        launches.Add(KernelLaunch.Of(kernel, new LaunchSize(Launches.Blocks(units, kernel.Threads)), a));

        Divisor Extent(int axis) => Divisor.Of(axis < axes.Count ? axes[axis].Extent : 1);

        Strides Pack(Func<Axis, long> stride)
        {
            return new Strides { Axis0 = Of(0), Axis1 = Of(1), Axis2 = Of(2), Axis3 = Of(3), Axis4 = Of(4), Axis5 = Of(5) };

            int Of(int axis)
            {
                long value = axis < axes.Count ? stride(axes[axis]) : 0;
                return value <= int.MaxValue ? (int)value : throw new ConfigurationException("a step has rows more than 2^31 elements apart; run fewer pictures at a time");
            }
        }
    }
}
