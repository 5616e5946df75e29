using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels;

/// <summary>
/// Windows that slide over each channel by itself, channels last: depthwise convolution with its epilogue, and max pooling. A thread computes four results side by
/// side of four channels; lanes are neighbouring channels, all accesses vectors and coalesced.
/// <para>Models: EfficientNet (depthwise), ResNet-18 (max pooling). FLOPs 2 a tap and result. Bytes: x once, the overlap of rows from the caches, y once.</para>
/// </summary>
internal static class Windows
{
    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions() =>
    [
        KernelCatalog.Kernel<WindowArguments>("depthwise", WindowArguments.Threads, 6, 0, 80, Depthwise<AnyRow>),
        KernelCatalog.Kernel<WindowArguments>("depthwise_3", WindowArguments.Threads, 4, 0, 128, Depthwise<Row3>),
        KernelCatalog.Kernel<WindowArguments>("depthwise_5", WindowArguments.Threads, 4, 0, 128, Depthwise<Row5>),
        KernelCatalog.Kernel<WindowArguments>("max_pool", WindowArguments.Threads, 6, 0, 80, MaxPool),
    ];

    /// <summary>Depthwise convolution.</summary>
    public static void Depthwise<TRow>(WindowArguments a)
        where TRow : struct, IWindowRow => Slide<WeightedSum, TRow>(a);

    /// <summary>Max pooling; NaN wins.</summary>
    public static void MaxPool(WindowArguments a) => Slide<Largest, AnyRow>(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Slide<TFold, TRow>(WindowArguments a)
        where TFold : struct, IWindowFold
        where TRow : struct, IWindowRow
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
        F4 start = fold.Start(a, channel);
        EpilogueRows results = new() { R0 = start, R1 = start, R2 = start, R3 = start };
        int lastRow = Numbers.Min(a.KernelHeight, a.Height - top);
        for (int u = Numbers.Max(-top, 0); u < lastRow; u++)
        {
            long line = (((long)picture * a.Height) + top + u) * a.Width;
            default(TRow).Add(fold, a, line, left, u, channel, ref results);
        }

        long pixel = ((long)row * a.YWidth) + firstColumn;
        int columns = a.YWidth - firstColumn;
        results = fold.Finish(a, results, pixel, columns, channel);
        Store(a, pixel, columns, channel, results.R0);
        Store(a, pixel + 1, columns - 1, channel, results.R1);
        Store(a, pixel + 2, columns - 2, channel, results.R2);
        Store(a, pixel + 3, columns - 3, channel, results.R3);
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

    /// <summary>Takes in a tap with the pixels that lie under it for four results side by side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTap<TFold>(TFold fold, ref EpilogueRows results, F4 w, F4 x0, F4 x1, F4 x2, F4 x3)
        where TFold : struct, IWindowFold
    {
        fold.Add(ref results.R0, x0, w);
        fold.Add(ref results.R1, x1, w);
        fold.Add(ref results.R2, x2, w);
        fold.Add(ref results.R3, x3, w);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(WindowArguments a, long pixel, int columns, int channel, F4 v)
    {
        if (columns > 0)
        {
            Results.Store(a.Y, (pixel * a.YStride) + channel, v, a.Vectors != 0 ? 4 : 1, a.Type, a.Vectors != 0);
        }
    }

    /// <summary>How a row of the window is gone through.</summary>
    internal interface IWindowRow
    {
        /// <summary>Takes a row of the window into four results.</summary>
        /// <param name="fold">The fold.</param>
        /// <param name="a">The arguments.</param>
        /// <param name="line">The first pixel of the row of x.</param>
        /// <param name="left">The column of x of the first tap of the first result.</param>
        /// <param name="u">The row of the window.</param>
        /// <param name="channel">The channel.</param>
        /// <param name="results">The results.</param>
        void Add<TFold>(TFold fold, WindowArguments a, long line, int left, int u, int channel, ref EpilogueRows results)
            where TFold : struct, IWindowFold;
    }

    /// <summary>
    /// Any width and stride: every stride-th tap in turn, so that from one to the next three of the four pixels only move up by one: one load and one weight for
    /// four results.
    /// </summary>
    private struct AnyRow : IWindowRow
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Add<TFold>(TFold fold, WindowArguments a, long line, int left, int u, int channel, ref EpilogueRows results)
            where TFold : struct, IWindowFold
        {
            for (int first = 0; first < Numbers.Min(a.Stride, a.KernelWidth); first++)
            {
                F4 x0 = Pixel(fold, a, line, left + first, channel);
                F4 x1 = Pixel(fold, a, line, left + first + a.Stride, channel), x2 = Pixel(fold, a, line, left + first + (2 * a.Stride), channel);
                for (int v = first; v < a.KernelWidth; v += a.Stride)
                {
                    F4 x3 = Pixel(fold, a, line, left + v + (3 * a.Stride), channel), w = fold.Weight(a, (u * a.KernelWidth) + v, channel);
                    AddTap(fold, ref results, w, x0, x1, x2, x3);
                    x0 = x1;
                    x1 = x2;
                    x2 = x3;
                }
            }
        }
    }

    /// <summary>
    /// Width 3, stride 1: the row's loads are under way together. Where threads are few, as with one picture, nothing else hides their latency.
    /// </summary>
    private struct Row3 : IWindowRow
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Add<TFold>(TFold fold, WindowArguments a, long line, int left, int u, int channel, ref EpilogueRows results)
            where TFold : struct, IWindowFold
        {
            F4 x0 = Pixel(fold, a, line, left, channel), x1 = Pixel(fold, a, line, left + 1, channel), x2 = Pixel(fold, a, line, left + 2, channel);
            F4 x3 = Pixel(fold, a, line, left + 3, channel), x4 = Pixel(fold, a, line, left + 4, channel), x5 = Pixel(fold, a, line, left + 5, channel);
            F4 w0 = fold.Weight(a, u * 3, channel), w1 = fold.Weight(a, (u * 3) + 1, channel), w2 = fold.Weight(a, (u * 3) + 2, channel);
            AddTap(fold, ref results, w0, x0, x1, x2, x3);
            AddTap(fold, ref results, w1, x1, x2, x3, x4);
            AddTap(fold, ref results, w2, x2, x3, x4, x5);
        }
    }

    /// <summary>Width 5, stride 1; see <see cref="Row3"/>.</summary>
    private struct Row5 : IWindowRow
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Add<TFold>(TFold fold, WindowArguments a, long line, int left, int u, int channel, ref EpilogueRows results)
            where TFold : struct, IWindowFold
        {
            F4 x0 = Pixel(fold, a, line, left, channel), x1 = Pixel(fold, a, line, left + 1, channel), x2 = Pixel(fold, a, line, left + 2, channel);
            F4 x3 = Pixel(fold, a, line, left + 3, channel), x4 = Pixel(fold, a, line, left + 4, channel), x5 = Pixel(fold, a, line, left + 5, channel);
            F4 x6 = Pixel(fold, a, line, left + 6, channel), x7 = Pixel(fold, a, line, left + 7, channel);
            F4 w0 = fold.Weight(a, u * 5, channel), w1 = fold.Weight(a, (u * 5) + 1, channel), w2 = fold.Weight(a, (u * 5) + 2, channel);
            F4 w3 = fold.Weight(a, (u * 5) + 3, channel), w4 = fold.Weight(a, (u * 5) + 4, channel);
            AddTap(fold, ref results, w0, x0, x1, x2, x3);
            AddTap(fold, ref results, w1, x1, x2, x3, x4);
            AddTap(fold, ref results, w2, x2, x3, x4, x5);
            AddTap(fold, ref results, w3, x3, x4, x5, x6);
            AddTap(fold, ref results, w4, x4, x5, x6, x7);
        }
    }

    /// <summary>How a window becomes one number.</summary>
    internal interface IWindowFold
    {
        /// <summary>What stands for a pixel beyond the border.</summary>
        float Outside { get; }

        /// <summary>What the fold begins with.</summary>
        F4 Start(WindowArguments a, int channel);

        /// <summary>The weights of a tap.</summary>
        F4 Weight(WindowArguments a, int tap, int channel);

        /// <summary>Takes in a pixel.</summary>
        void Add(ref F4 total, F4 x, F4 w);

        /// <summary>Four results side by side.</summary>
        /// <param name="a">The arguments.</param>
        /// <param name="totals">What was taken in.</param>
        /// <param name="pixel">The first result's pixel.</param>
        /// <param name="columns">How many of them there are, or more.</param>
        /// <param name="channel">The channel.</param>
        EpilogueRows Finish(WindowArguments a, EpilogueRows totals, long pixel, int columns, int channel);
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
        public readonly EpilogueRows Finish(WindowArguments a, EpilogueRows totals, long pixel, int columns, int channel)
        {
            EpilogueRows residual = default;
            if (a.Residual != 0)
            {
                residual.R0 = Residual(a, pixel, columns, channel);
                residual.R1 = Residual(a, pixel + 1, columns - 1, channel);
                residual.R2 = Residual(a, pixel + 2, columns - 2, channel);
                residual.R3 = Residual(a, pixel + 3, columns - 3, channel);
            }

            if (a.ActivateSum != 0)
            {
                totals = Sum(totals, residual);
            }

            totals = Epilogue.Apply(a.Function, totals);
            return a.ActivateSum == 0 ? Sum(totals, residual) : totals;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static F4 Residual(WindowArguments a, long pixel, int columns, int channel)
        {
            F4 residual = default;
            if (columns > 0)
            {
                residual = Constants(a.Residual, (pixel * a.ResidualStride) + channel, a.Vectors);
            }

            return residual;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static EpilogueRows Sum(EpilogueRows a, EpilogueRows b) =>
            new() { R0 = Sum(a.R0, b.R0), R1 = Sum(a.R1, b.R1), R2 = Sum(a.R2, b.R2), R3 = Sum(a.R3, b.R3) };

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static F4 Sum(F4 a, F4 b) => new() { X = a.X + b.X, Y = a.Y + b.Y, Z = a.Z + b.Z, W = a.W + b.W };
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
        public readonly EpilogueRows Finish(WindowArguments a, EpilogueRows totals, long pixel, int columns, int channel) => totals;
    }
}
