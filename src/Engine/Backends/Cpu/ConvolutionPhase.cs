namespace KernelAD.Backends.Cpu;

/// <summary>
/// A convolution, or a part of one, as a matrix product. Its rows are positions (i, j) whose left operand is a window of the picture: the channels
/// <see cref="FirstChannel"/> … of <see cref="KernelHeight"/> × <see cref="KernelWidth"/> pixels from pixel (i · StepY + Top, j · StepX + Left) on, zeros
/// beyond the border. Its columns go side by side to float Target + i · RowPitch + j · ColumnPitch of the resulting picture.
/// </summary>
/// <param name="Weights">The right operand: [columns, KernelHeight · KernelWidth · Channels], and the bias.</param>
/// <param name="FirstChannel">First channel of a window.</param>
/// <param name="Channels">Channels of a window.</param>
/// <param name="KernelHeight">Rows of a window.</param>
/// <param name="KernelWidth">Columns of a window.</param>
/// <param name="Top">Row of the first window.</param>
/// <param name="Left">Column of the first window.</param>
/// <param name="StepY">Rows from one window to the next.</param>
/// <param name="StepX">Columns from one window to the next.</param>
/// <param name="Rows">Extent of i.</param>
/// <param name="Columns">Extent of j.</param>
/// <param name="Target">Where the first position's result goes.</param>
/// <param name="RowPitch">Floats from one row of positions to the next, in the result.</param>
/// <param name="ColumnPitch">Floats from one position to the next, in the result.</param>
/// <param name="LastCount">How many of the last position's columns in each row lie within the result.</param>
internal sealed record ConvolutionPhase(
    PackedWeights Weights,
    int FirstChannel,
    int Channels,
    int KernelHeight,
    int KernelWidth,
    int Top,
    int Left,
    int StepY,
    int StepX,
    int Rows,
    int Columns,
    long Target,
    long RowPitch,
    int ColumnPitch,
    int LastCount)
{
    /// <summary>The phases of an ordinary convolution: its groups.</summary>
    /// <param name="memory">Where the packed weights go.</param>
    /// <param name="weight">(O, C/G, kh, kw).</param>
    /// <param name="bias">(O), or empty.</param>
    /// <param name="shape">The convolution.</param>
    public static ConvolutionPhase[] Of(MemoryPool memory, float[] weight, float[] bias, ConvolutionShape shape)
    {
        int columns = shape.OutputChannels / shape.Groups, channels = shape.Channels / shape.Groups;
        int taps = shape.KernelHeight * shape.KernelWidth, k = taps * channels;
        ConvolutionPhase[] phases = new ConvolutionPhase[shape.Groups];
        for (int group = 0; group < shape.Groups; group++)
        {
            int first = group * columns;
            PackedWeights packed = new(memory, columns, k, bias.Length == 0 ? [] : bias.AsSpan(first, columns), (row, rows) =>
            {
                for (int i = 0; i < rows.Length; i++)
                {
                    (int output, int index) = Math.DivRem(i, k);
                    (int tap, int channel) = Math.DivRem(index, channels);
                    rows[i] = weight[((((long)first + row + output) * channels) + channel) * taps + tap];
                }
            });
            phases[group] = new ConvolutionPhase(
                packed,
                group * channels,
                channels,
                shape.KernelHeight,
                shape.KernelWidth,
                -shape.Padding.Top,
                -shape.Padding.Left,
                shape.Stride,
                shape.Stride,
                shape.OutputHeight,
                shape.OutputWidth,
                first,
                (long)shape.OutputWidth * shape.OutputChannels,
                shape.OutputChannels,
                columns);
        }

        return phases;
    }

    /// <summary>
    /// The phases of a transposed convolution. Output row y receives from kernel row u only if y + p − u is a multiple of the stride s: the rows with one
    /// remainder of (y + p) / s see every s-th kernel row of a certain remainder, and are an ordinary convolution with those; columns likewise. Where the
    /// output has few channels, several neighbouring columns of it become columns of one product, whose weights are zero where a column does not see a pixel of
    /// the common window.
    /// </summary>
    /// <param name="memory">Where the packed weights go.</param>
    /// <param name="weight">(C, O, k, k).</param>
    /// <param name="bias">(O), or empty.</param>
    /// <param name="shape">The convolution.</param>
    public static ConvolutionPhase[] Of(MemoryPool memory, float[] weight, float[] bias, TransposedConvolutionShape shape)
    {
        int together = ColumnsTogether(shape);
        int period = Math.Max(together, shape.Stride);
        List<ConvolutionPhase> phases = [];
        for (int y = 0; y < Math.Min(shape.Stride, shape.OutputHeight); y++)
        {
            Window rows = Window.Of(shape, y, 1);
            for (int x = 0; x < period && x < shape.OutputWidth; x += together)
            {
                Window columns = Window.Of(shape, x, together);
                int n = together * shape.OutputChannels, k = rows.Length * columns.Length * shape.Channels;
                float[] repeatedBias = [.. Enumerable.Repeat(bias, together).SelectMany(b => b)];
                int firstRow = y, firstColumn = x;
                PackedWeights packed = new(memory, n, k, repeatedBias, (row, target) =>
                {
                    for (int i = 0; i < target.Length; i++)
                    {
                        (int column, int output) = Math.DivRem(row + (i / k), shape.OutputChannels);
                        (int pixel, int channel) = Math.DivRem(i % k, shape.Channels);
                        int u = rows.Tap(shape, firstRow, pixel / columns.Length), v = columns.Tap(shape, firstColumn + column, pixel % columns.Length);
                        target[i] = u < 0 || v < 0 ? 0 : weight[(((((channel * shape.OutputChannels) + output) * shape.Kernel) + u) * shape.Kernel) + v];
                    }
                });
                int positions = Split.Most(shape.OutputWidth - x, period);
                phases.Add(new ConvolutionPhase(
                    packed,
                    0,
                    shape.Channels,
                    rows.Length,
                    columns.Length,
                    rows.First,
                    columns.First,
                    1,
                    period / shape.Stride,
                    Split.Most(shape.OutputHeight - y, shape.Stride),
                    positions,
                    (((long)y * shape.OutputWidth) + x) * shape.OutputChannels,
                    (long)shape.Stride * shape.OutputWidth * shape.OutputChannels,
                    period * shape.OutputChannels,
                    Math.Min(together, shape.OutputWidth - x - ((positions - 1) * period)) * shape.OutputChannels));
            }
        }

        return [.. phases];
    }

    /// <summary>
    /// How many neighbouring output columns make one product: a divisor of the stride or a multiple of it, whichever costs the fewest multiply-adds, those with
    /// zeros and in the unused columns of a panel included.
    /// </summary>
    private static int ColumnsTogether(TransposedConvolutionShape shape)
    {
        int best = 1;
        double bestCost = double.PositiveInfinity;
        for (int together = 1; together <= Math.Max(shape.Stride, SimdTier.PanelColumns); together++)
        {
            if (shape.Stride % together != 0 && together % shape.Stride != 0)
            {
                continue;
            }

            int period = Math.Max(together, shape.Stride), pixels = 0;
            for (int x = 0; x < period; x += together)
            {
                pixels += Window.Of(shape, x, together).Length;
            }

            double cost = (double)pixels * Split.Most(together * shape.OutputChannels, SimdTier.PanelColumns) / period;
            if (cost < bestCost)
            {
                (best, bestCost) = (together, cost);
            }
        }

        return best;
    }

    /// <summary>The pixels that some neighbouring output columns (or rows) see, relative to the first position's pixel.</summary>
    private readonly record struct Window(int First, int Length)
    {
        public static Window Of(TransposedConvolutionShape shape, int output, int together)
        {
            int first = int.MaxValue, last = int.MinValue;
            for (int o = output; o < output + together; o++)
            {
                // The newest pixel that reaches output o does so with the smallest tap, (o + p) mod s, earlier ones with taps s further on each.
                (int newest, int tap) = Math.DivRem(o + shape.Padding, shape.Stride);
                last = Math.Max(last, newest);
                first = Math.Min(first, newest - Math.Max(Split.Most(shape.Kernel - tap, shape.Stride) - 1, 0));
            }

            return new Window(first, last - first + 1);
        }

        /// <summary>The tap with which a pixel of the window reaches an output column; −1 if it does not.</summary>
        public int Tap(TransposedConvolutionShape shape, int output, int pixel)
        {
            int tap = output + shape.Padding - ((First + pixel) * shape.Stride);
            return tap < shape.Kernel ? Math.Max(tap, -1) : -1;
        }
    }
}
