using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;
using KernelAD.Kernels.Tiles;

namespace KernelAD.Kernels;

/// <summary>
/// Transposed convolution, channels last, in two ways; nothing is added atomically. Models: VT-ADL's decoder. FLOPs 2·Kernel²/s² · Channels a result.
/// <para><see cref="Fast{TTile, TUnit, TCopy}"/>, on tensor cores, is the convolution's product: a window of x for each square block of results, which are the product's columns. All
/// results of a block multiply the whole window, by zeros where they do not meet it, so that the few channels of a result still fill a tile's columns, and a pixel is copied for many
/// results. Bytes: x once per window and column tile, mostly from L2; y once.</para>
/// <para><see cref="Compute{TOutputs}"/>, in FFMA, is a gather: results whose coordinates leave the same remainders by the stride (a phase) meet the same taps, every s-th of the kernel, and are
/// side by side an ordinary convolution of x with them; all phases are one launch.
/// A block computes 4 rows of 128 results of a phase: per row of taps and eight channels of x it brings pixels and taps into shared memory, channel by channel, so that lanes read
/// neighbouring pixels and all read the same taps. A thread keeps four pixels, 32 apart, of four or eight channels. Bytes: x once per row of taps, from the caches; y once.</para>
/// </summary>
internal static class TransposedConvolution
{
    private const int Chunk = TransposedConvolutionArguments.Chunk;

    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions()
    {
        yield return Kernel("transposed_convolution_4", 6, 80, Compute<FourOutputs>, 0.69);
        yield return Kernel("transposed_convolution_8", 5, 96, Compute<EightOutputs>, 0.79);
        yield return Product("fp16_64", 128, 4, Linear.FastBytes64, 120, Fast<Fast64, HalfUnit, AsyncCopy>, Fast<Fast64, HalfUnitTuring, DirectCopy>, 0.21);
        yield return Product("fp16_128of8", 256, 2, Linear.FastBytes128, 128, Fast<Fast128Of8, HalfUnit, AsyncCopy>, null, 0.32);
        yield return Product("tf32_64", 128, 4, Linear.FastBytes64, 120, Fast<Fast64, Tf32Unit, AsyncCopy>, null, 0.21);
        yield return Product("tf32_128of8", 256, 2, Linear.FastBytes128, 128, Fast<Fast128Of8, Tf32Unit, AsyncCopy>, null, 0.32);

        static KernelDefinition Kernel(string name, int minBlocks, int registers, Action<TransposedConvolutionArguments> kernel, double share) =>
            KernelCatalog.Kernel(name, TransposedConvolutionArguments.Threads, minBlocks, sharedBytes: 0, registers, kernel, kernel, new MainLoop("FFMA", share));

        static KernelDefinition Product(
            string name,
            int threads,
            int minBlocks,
            int sharedBytes,
            int registers,
            Action<TransposedProductArguments> ampere,
            Action<TransposedProductArguments>? turing,
            double share) =>
            KernelCatalog.Kernel($"transposed_convolution_{name}", threads, minBlocks, sharedBytes, registers, ampere, turing, new MainLoop("HMMA", share));
    }

    /// <summary>fp16 or tf32 on tensor cores.</summary>
    public static void Fast<TTile, TUnit, TCopy>(TransposedProductArguments a)
        where TTile : struct, IFastTile
        where TUnit : struct, IMatrixUnit
        where TCopy : struct, ICopy
    {
        // Said here, for the compiler to drop that part of the epilogue: with it the large tile spills.
        LinearArguments product = a.Convolution.Linear;
        product.Residual = 0;
        product.Scale = 0;
        product.ActivateSum = 0;
        Linear.FastProduct<TTile, WindowRows4, BlockResults, TUnit, TCopy>(product, new WindowRows4 { Convolution = a.Convolution }, new BlockResults { Blocks = a });
    }

    /// <summary>A block a tile of results of one phase.</summary>
    public static void Compute<TOutputs>(TransposedConvolutionArguments a)
        where TOutputs : struct, IOutputs
    {
        const int TileRows = TransposedConvolutionArguments.TileRows, TileColumns = TransposedConvolutionArguments.TileColumns;
        TOutputs outputs = default;
        int thread = Threads.Index, lane = Threads.Lane, warp = Threads.Warp, stride = a.Stride.Value;
        int picture = Numbers.Divide(Grid.IdxZ, a.Phases), phase = Grid.IdxZ - (picture * a.Phases.Value);
        int phaseRow = Numbers.Divide(phase, a.Stride), phaseColumn = phase - (phaseRow * stride);
        int group = Numbers.Divide(Grid.IdxX, a.ColumnTiles), output = group * outputs.Count;
        int firstRow = Grid.IdxY * TileRows, firstColumn = (Grid.IdxX - (group * a.ColumnTiles.Value)) * TileColumns;
        if ((firstRow * stride) + phaseRow >= a.YHeight || (firstColumn * stride) + phaseColumn >= a.YWidth)
        {
            return;
        }

        // Result r of the phase meets the taps first, first + s, …, the first of them at pixel r + from, the others before it.
        int rowsFrom = Numbers.Divide(phaseRow + a.Padding, a.Stride), firstTapRow = phaseRow + a.Padding - (rowsFrom * stride);
        int columnsFrom = Numbers.Divide(phaseColumn + a.Padding, a.Stride), firstTapColumn = phaseColumn + a.Padding - (columnsFrom * stride);
        int tapRows = Numbers.Divide(Numbers.Max(a.Kernel - firstTapRow + stride - 1, 0), a.Stride);
        int tapColumns = Numbers.Divide(Numbers.Max(a.Kernel - firstTapColumn + stride - 1, 0), a.Stride);

        int columns = TileColumns + tapColumns - 1, left = firstColumn + columnsFrom - (tapColumns - 1);
        uint plane = (uint)((((TileRows * columns) + 27) / 32 * 32) + 4) * sizeof(float), rowBytes = (uint)columns * sizeof(float);
        uint pixels = Shared.Base(), taps = pixels + (Chunk * plane), outputBytes = (uint)outputs.Count * sizeof(float);
        uint read = pixels + ((uint)warp * rowBytes) + (uint)(lane * sizeof(float));
        F8 r0 = default, r1 = default, r2 = default, r3 = default;
        for (int channel = 0; channel < a.Channels; channel += Chunk)
        {
            for (int tapRow = 0; tapRow < tapRows && tapColumns > 0; tapRow++)
            {
                Threads.Barrier();
                LoadPixels(a, picture, firstRow + rowsFrom - tapRow, left, columns, channel, pixels, plane, rowBytes);
                long w = ((((long)(firstTapRow + (tapRow * stride)) * a.Kernel) + firstTapColumn) * a.Channels * a.WeightColumns) + output;
                for (int item = thread; item < tapColumns * Chunk * outputs.Count; item += TransposedConvolutionArguments.Threads)
                {
                    int o = item & (outputs.Count - 1), line = item / outputs.Count, c = channel + (line & (Chunk - 1)), tap = line / Chunk;
                    long element = w + ((((long)tap * stride * a.Channels) + c) * a.WeightColumns) + o;
                    Shared.Store(taps + (uint)(item * sizeof(float)), c < a.Channels ? Global.Constant(a.Weight + (element * sizeof(float))) : 0);
                }

                Threads.Barrier();
                uint x = read + (uint)((tapColumns - 1) * sizeof(float)), tapAddress = taps;
                for (int tap = 0; tap < tapColumns; tap++)
                {
                    // Written out: ptxas leaves a loop around this much rolled.
                    Step(outputs, x, tapAddress, ref r0, ref r1, ref r2, ref r3);
                    Step(outputs, x + plane, tapAddress + outputBytes, ref r0, ref r1, ref r2, ref r3);
                    Step(outputs, x + (2 * plane), tapAddress + (2 * outputBytes), ref r0, ref r1, ref r2, ref r3);
                    Step(outputs, x + (3 * plane), tapAddress + (3 * outputBytes), ref r0, ref r1, ref r2, ref r3);
                    Step(outputs, x + (4 * plane), tapAddress + (4 * outputBytes), ref r0, ref r1, ref r2, ref r3);
                    Step(outputs, x + (5 * plane), tapAddress + (5 * outputBytes), ref r0, ref r1, ref r2, ref r3);
                    Step(outputs, x + (6 * plane), tapAddress + (6 * outputBytes), ref r0, ref r1, ref r2, ref r3);
                    Step(outputs, x + (7 * plane), tapAddress + (7 * outputBytes), ref r0, ref r1, ref r2, ref r3);
                    x -= sizeof(float);
                    tapAddress += Chunk * outputBytes;
                }
            }
        }

        int yRow = ((firstRow + warp) * stride) + phaseRow, yColumn = ((firstColumn + lane) * stride) + phaseColumn;
        if (yRow < a.YHeight)
        {
            long row = ((long)picture * a.YHeight) + yRow;
            Store(outputs, a, row, yColumn, output, r0);
            Store(outputs, a, row, yColumn + (32 * stride), output, r1);
            Store(outputs, a, row, yColumn + (64 * stride), output, r2);
            Store(outputs, a, row, yColumn + (96 * stride), output, r3);
        }
    }

    /// <summary>Eight channels of the pixels under four rows of results, zeros beyond the border.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadPixels(
        TransposedConvolutionArguments a, int picture, int firstRow, int left, int columns, int channel, uint pixels, uint plane, uint rowBytes)
    {
        if (a.PixelVectors != 0)
        {
            // A thread takes all eight channels of a pixel at once; neighbouring lanes are neighbouring pixels.
            for (int item = Threads.Index; item < TransposedConvolutionArguments.TileRows * columns; item += TransposedConvolutionArguments.Threads)
            {
                int row = (item >= columns ? 1 : 0) + (item >= 2 * columns ? 1 : 0) + (item >= 3 * columns ? 1 : 0), column = item - (row * columns);
                int y = firstRow + row, x = left + column;
                F4 low = default, high = default;
                if ((uint)y < (uint)a.Height & (uint)x < (uint)a.Width)
                {
                    long element = (((((long)picture * a.Height) + y) * a.Width) + x) * a.XStride + channel;
                    low = Elements.Load4(a.X, element, a.XType);
                    high = Elements.Load4(a.X, element + 4, a.XType);
                }

                uint target = pixels + ((uint)row * rowBytes) + (uint)(column * sizeof(float));
                Shared.Store(target, low.X);
                Shared.Store(target + plane, low.Y);
                Shared.Store(target + (2 * plane), low.Z);
                Shared.Store(target + (3 * plane), low.W);
                Shared.Store(target + (4 * plane), high.X);
                Shared.Store(target + (5 * plane), high.Y);
                Shared.Store(target + (6 * plane), high.Z);
                Shared.Store(target + (7 * plane), high.W);
            }

            return;
        }

        int c = Threads.Index & (Chunk - 1), first = Threads.Index / Chunk;
        for (int row = 0; row < TransposedConvolutionArguments.TileRows; row++)
        {
            int y = firstRow + row;
            bool inside = (uint)y < (uint)a.Height & channel + c < a.Channels;
            long line = ((((long)picture * a.Height) + y) * a.Width * a.XStride) + channel + c;
            uint target = pixels + ((uint)c * plane) + ((uint)row * rowBytes);
            for (int column = first; column < columns; column += TransposedConvolutionArguments.Threads / Chunk)
            {
                int x = left + column;
                float value = 0;
                if (inside & (uint)x < (uint)a.Width)
                {
                    value = Elements.Load(a.X, line + ((long)x * a.XStride), a.XType);
                }

                Shared.Store(target + (uint)(column * sizeof(float)), value);
            }
        }
    }

    /// <summary>Adds one channel of one tap to four pixels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step<TOutputs>(TOutputs outputs, uint x, uint taps, ref F8 r0, ref F8 r1, ref F8 r2, ref F8 r3)
        where TOutputs : struct, IOutputs
    {
        F8 w = outputs.Load(taps);
        outputs.Add(ref r0, Shared.Float(x), w);
        outputs.Add(ref r1, Shared.Float(x + (32 * sizeof(float))), w);
        outputs.Add(ref r2, Shared.Float(x + (64 * sizeof(float))), w);
        outputs.Add(ref r3, Shared.Float(x + (96 * sizeof(float))), w);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TOutputs>(TOutputs outputs, TransposedConvolutionArguments a, long row, int column, int output, F8 sums)
        where TOutputs : struct, IOutputs
    {
        if (column < a.YWidth)
        {
            long pixel = ((row * a.YWidth) + column) * a.YStride;
            StoreFour(a, pixel, output, sums.Left);
            if (outputs.Count > 4)
            {
                StoreFour(a, pixel, output + 4, sums.Right);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreFour(TransposedConvolutionArguments a, long pixel, int output, F4 v)
    {
        if (output >= a.YChannels)
        {
            return;
        }

        if (a.Bias != 0)
        {
            F4 bias = Global.Float4(a.Bias + ((long)output * sizeof(float)));
            v.X += bias.X;
            v.Y += bias.Y;
            v.Z += bias.Z;
            v.W += bias.W;
        }

        Results.Store(a.Y, pixel + output, Epilogue.Apply(a.Function, v), Numbers.Min(a.YChannels - output, 4), a.Type, a.Vectors != 0);
    }

    /// <summary>The channels of y that a thread computes.</summary>
    internal interface IOutputs
    {
        /// <summary>How many, 4 or 8.</summary>
        int Count { get; }

        /// <summary>Their taps for one channel of x.</summary>
        F8 Load(uint taps);

        /// <summary>sums += x · w.</summary>
        void Add(ref F8 sums, float x, F8 w);
    }

    /// <summary>Eight floats, of which four may not count.</summary>
    internal struct F8
    {
        /// <summary>The first four.</summary>
        public F4 Left;

        /// <summary>The others.</summary>
        public F4 Right;
    }

    /// <summary>For pictures: three of four sums count.</summary>
    internal struct FourOutputs : IOutputs
    {
        /// <inheritdoc/>
        public readonly int Count => 4;

        /// <inheritdoc/>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly F8 Load(uint taps) => new() { Left = Shared.Float4(taps) };

        /// <inheritdoc/>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Add(ref F8 sums, float x, F8 w) => ExactSums.Add(ref sums.Left, x, w.Left);
    }

    /// <summary>For maps: 32 sums for six loads from shared memory.</summary>
    internal struct EightOutputs : IOutputs
    {
        /// <inheritdoc/>
        public readonly int Count => 8;

        /// <inheritdoc/>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly F8 Load(uint taps) => new() { Left = Shared.Float4(taps), Right = Shared.Float4(taps + 16) };

        /// <inheritdoc/>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Add(ref F8 sums, float x, F8 w)
        {
            ExactSums.Add(ref sums.Left, x, w.Left);
            ExactSums.Add(ref sums.Right, x, w.Right);
        }
    }
}
