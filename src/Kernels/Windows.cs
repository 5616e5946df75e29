using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels;

/// <summary>
/// Windows that slide over each channel by itself, channels last: depthwise convolution with its epilogue, and max pooling. A thread computes four results side by
/// side of four channels. Within a row of the window it takes every stride-th tap in turn, so that from one to the next three of its four pixels only move up by
/// one: one load and one weight for four results. Lanes are neighbouring channels, all accesses vectors and coalesced.
/// <para>Models: EfficientNet (depthwise), ResNet-18 (max pooling). FLOPs 2 a tap and result. Bytes: x once, the overlap of rows from the caches, y once.</para>
/// </summary>
internal static class Windows
{
    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions() =>
    [
        KernelCatalog.Kernel<WindowArguments>("depthwise", WindowArguments.Threads, 6, 0, 80, Depthwise),
        KernelCatalog.Kernel<WindowArguments>("max_pool", WindowArguments.Threads, 6, 0, 80, MaxPool),
    ];

    /// <summary>Depthwise convolution.</summary>
    public static void Depthwise(WindowArguments a) => Slide<WeightedSum>(a);

    /// <summary>Max pooling; NaN wins.</summary>
    public static void MaxPool(WindowArguments a) => Slide<Largest>(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Slide<TFold>(WindowArguments a)
        where TFold : struct, IWindowFold
    {
        int unit = (Grid.IdxX * WindowArguments.Threads) + Threads.Index;
        if ((uint)unit >= (uint)a.Units)
        {
            return;
        }

        TFold fold = default;
        int rest = Numbers.Divide(unit, a.ChannelUnits), channel = (unit - (rest * a.ChannelUnits.Value)) * (a.Vectors != 0 ? 4 : 1);
        int row = Numbers.Divide(rest, a.ColumnUnits), firstColumn = (rest - (row * a.ColumnUnits.Value)) * WindowArguments.Columns;
        int picture = Numbers.Divide(row, a.YHeight), top = ((row - (picture * a.YHeight.Value)) * a.Stride) - a.Top, left = (firstColumn * a.Stride) - a.Left;
        F4 start = fold.Start(a, channel), r0 = start, r1 = start, r2 = start, r3 = start;
        int lastRow = Numbers.Min(a.KernelHeight, a.Height - top);
        for (int u = Numbers.Max(-top, 0); u < lastRow; u++)
        {
            long line = (((long)picture * a.Height) + top + u) * a.Width;
            for (int first = 0; first < Numbers.Min(a.Stride, a.KernelWidth); first++)
            {
                F4 x0 = Pixel(fold, a, line, left + first, channel);
                F4 x1 = Pixel(fold, a, line, left + first + a.Stride, channel), x2 = Pixel(fold, a, line, left + first + (2 * a.Stride), channel);
                for (int v = first; v < a.KernelWidth; v += a.Stride)
                {
                    F4 x3 = Pixel(fold, a, line, left + v + (3 * a.Stride), channel), w = fold.Weight(a, (u * a.KernelWidth) + v, channel);
                    fold.Add(ref r0, x0, w);
                    fold.Add(ref r1, x1, w);
                    fold.Add(ref r2, x2, w);
                    fold.Add(ref r3, x3, w);
                    x0 = x1;
                    x1 = x2;
                    x2 = x3;
                }
            }
        }

        Store(fold, a, row, firstColumn, channel, r0);
        Store(fold, a, row, firstColumn + 1, channel, r1);
        Store(fold, a, row, firstColumn + 2, channel, r2);
        Store(fold, a, row, firstColumn + 3, channel, r3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 Pixel<TFold>(TFold fold, WindowArguments a, long line, int column, int channel)
        where TFold : struct, IWindowFold
    {
        float outside = fold.Outside;
        F4 x = new() { X = outside, Y = outside, Z = outside, W = outside };
        if ((uint)column < (uint)a.Width)
        {
            long element = ((line + column) * a.XStride) + channel;
            if (a.Vectors != 0)
            {
                x = Elements.Load4(a.X, element, a.XType);
            }
            else
            {
                x.X = Elements.Load(a.X, element, a.XType);
            }
        }

        return x;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 Constants(long values, long element, int vectors)
    {
        if (vectors != 0)
        {
            return Global.Float4(values + (element * sizeof(float)));
        }

        return new F4 { X = Global.Constant(values + (element * sizeof(float))) };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TFold>(TFold fold, WindowArguments a, int row, int column, int channel, F4 v)
        where TFold : struct, IWindowFold
    {
        if (column < a.YWidth)
        {
            long pixel = ((long)row * a.YWidth) + column;
            Results.Store(a.Y, (pixel * a.YStride) + channel, fold.Finish(a, v, pixel, channel), a.Vectors != 0 ? 4 : 1, a.Type, a.Vectors != 0);
        }
    }

    /// <summary>How a window becomes one number.</summary>
    private interface IWindowFold
    {
        /// <summary>What stands for a pixel beyond the border.</summary>
        float Outside { get; }

        /// <summary>What the fold begins with.</summary>
        F4 Start(WindowArguments a, int channel);

        /// <summary>The weights of a tap.</summary>
        F4 Weight(WindowArguments a, int tap, int channel);

        /// <summary>Takes in a pixel.</summary>
        void Add(ref F4 total, F4 x, F4 w);

        /// <summary>The result.</summary>
        F4 Finish(WindowArguments a, F4 total, long pixel, int channel);
    }

    private struct WeightedSum : IWindowFold
    {
        public readonly float Outside => 0;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly F4 Start(WindowArguments a, int channel)
        {
            F4 start = default;
            if (a.Bias != 0)
            {
                start = Constants(a.Bias, channel, a.Vectors);
            }

            return start;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly F4 Weight(WindowArguments a, int tap, int channel) => Constants(a.Weight, ((long)tap * a.Channels) + channel, a.Vectors);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Add(ref F4 total, F4 x, F4 w)
        {
            total.X = Numbers.Fma(x.X, w.X, total.X);
            total.Y = Numbers.Fma(x.Y, w.Y, total.Y);
            total.Z = Numbers.Fma(x.Z, w.Z, total.Z);
            total.W = Numbers.Fma(x.W, w.W, total.W);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly F4 Finish(WindowArguments a, F4 total, long pixel, int channel)
        {
            if (a.ActivateSum == 0)
            {
                total = Epilogue.Apply(a.Function, total);
            }

            if (a.Residual != 0)
            {
                F4 residual = Constants(a.Residual, (pixel * a.ResidualStride) + channel, a.Vectors);
                total.X += residual.X;
                total.Y += residual.Y;
                total.Z += residual.Z;
                total.W += residual.W;
            }

            return a.ActivateSum == 0 ? total : Epilogue.Apply(a.Function, total);
        }
    }

    private struct Largest : IWindowFold
    {
        public readonly float Outside => float.NegativeInfinity;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly F4 Start(WindowArguments a, int channel) =>
            new() { X = float.NegativeInfinity, Y = float.NegativeInfinity, Z = float.NegativeInfinity, W = float.NegativeInfinity };

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly F4 Weight(WindowArguments a, int tap, int channel) => default;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Add(ref F4 total, F4 x, F4 w)
        {
            total.X = Numbers.MaxOrNaN(total.X, x.X);
            total.Y = Numbers.MaxOrNaN(total.Y, x.Y);
            total.Z = Numbers.MaxOrNaN(total.Z, x.Z);
            total.W = Numbers.MaxOrNaN(total.W, x.W);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly F4 Finish(WindowArguments a, F4 total, long pixel, int channel) => total;
    }
}
