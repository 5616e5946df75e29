using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels;

/// <summary>
/// Layer normalisation of the rows of x, or of x + residual: y = (s − mean) / √(var + ε) · weight + bias. A warp a row.
/// <para>The variance is the corrected two-pass one: what the deviations from the rounded mean add up to, 0 in exact arithmetic, is taken out of
/// mean and variance, so that rows with a large mean keep their digits; squares of undiminished values are never summed. Error within 1e-6 of the
/// row's largest normalised value.</para>
/// <see cref="Row"/> reads x once and keeps it in registers (widths up to 1024, multiples of 4); <see cref="Loop"/> reads it three times, the second
/// and third time from the caches. Models: all, twice a block. FLOPs 8 an element. Bytes: x, the residual and the sum once, y once.
/// </summary>
internal static class LayerNorm
{
    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions() =>
    [
        KernelCatalog.Kernel<LayerNormArguments>("layer_norm_row", LayerNormArguments.Threads, 6, 0, 72, Row),
        KernelCatalog.Kernel<LayerNormArguments>("layer_norm_loop", LayerNormArguments.Threads, 8, 0, 40, Loop),
    ];

    /// <summary>Lane l holds columns 4·l … 4·l + 3 of every 128.</summary>
    public static void Row(LayerNormArguments a)
    {
        int row = (Grid.IdxX * LayerNormArguments.RowsPerBlock) + Threads.Warp, column = Threads.Lane * 4;
        if (row >= a.Rows)
        {
            return;
        }

        // Rows of up to 512 columns, nearly all there are, skip the upper half.
        bool wide = a.Columns > 512;
        RowPart low = default, high = default;
        low.Load(a, row, column);
        if (wide)
        {
            high.Load(a, row, column + 512);
        }

        float share = Numbers.Reciprocal(a.Width);
        float mean = Threads.WarpSum(low.Sum() + high.Sum()) * share;
        low.Subtract(mean, a.Width - column);
        if (wide)
        {
            high.Subtract(mean, a.Width - column - 512);
        }

        float shift = Threads.WarpSum(low.Sum() + high.Sum()) * share;
        float variance = (Threads.WarpSum(low.Squares() + high.Squares()) * share) - (shift * shift);
        float scale = Numbers.ReciprocalSqrt(Numbers.Max(variance, 0) + a.Epsilon);
        low.Store(a, row, column, shift, scale);
        if (wide)
        {
            high.Store(a, row, column + 512, shift, scale);
        }
    }

    /// <summary>Lane l walks along columns l, l + 32 ….</summary>
    public static void Loop(LayerNormArguments a)
    {
        int row = (Grid.IdxX * LayerNormArguments.RowsPerBlock) + Threads.Warp, lane = Threads.Lane;
        if (row >= a.Rows)
        {
            return;
        }

        float share = Numbers.Reciprocal(a.Width), sum = 0;
        long x = a.X + ((long)row * a.XStride * sizeof(float)), residual = a.Residual == 0 ? 0 : a.Residual + ((long)row * a.ResidualStride * sizeof(float));
        long stored = a.Sum + ((long)row * a.SumStride * sizeof(float));
        for (int c = lane; c < a.Width; c += 32)
        {
            float v = Element(x, residual, c);
            if (a.Sum != 0)
            {
                Global.Store(stored + (c * sizeof(float)), v);
            }

            sum += v;
        }

        // The sum may have been written over its operands. A lane reads only what it wrote itself.
        if (a.Sum != 0)
        {
            x = stored;
            residual = 0;
        }

        float mean = Threads.WarpSum(sum) * share, deviations = 0, squares = 0;
        for (int c = lane; c < a.Width; c += 32)
        {
            float d = Element(x, residual, c) - mean;
            deviations += d;
            squares = Numbers.Fma(d, d, squares);
        }

        float shift = Threads.WarpSum(deviations) * share;
        float variance = (Threads.WarpSum(squares) * share) - (shift * shift);
        float scale = Numbers.ReciprocalSqrt(Numbers.Max(variance, 0) + a.Epsilon);
        for (int c = lane; c < a.Columns; c += 32)
        {
            float y = 0;
            if (c < a.Width)
            {
                float d = Element(x, residual, c) - mean - shift;
                y = Numbers.Fma(d * scale, Global.Constant(a.Weight + ((long)c * sizeof(float))), Global.Constant(a.Bias + ((long)c * sizeof(float))));
                if (a.Plain != 0)
                {
                    Global.Store(a.Plain + ((((long)row * a.PlainStride) + c) * sizeof(float)), y);
                }
            }

            Results.Store(a.Y, ((long)row * a.YStride) + c, y, a.Type);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Element(long x, long residual, int column)
    {
        float v = Global.Float(x + ((long)column * sizeof(float)));
        return residual == 0 ? v : v + Global.Float(residual + ((long)column * sizeof(float)));
    }

    /// <summary>A lane's share of 512 columns: four times four neighbours, 128 apart; zeros beyond the row.</summary>
    private struct RowPart
    {
        private F4 _a;
        private F4 _b;
        private F4 _c;
        private F4 _d;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Load(LayerNormArguments a, int row, int column)
        {
            _a = LoadFour(a, row, column);
            _b = LoadFour(a, row, column + 128);
            _c = LoadFour(a, row, column + 256);
            _d = LoadFour(a, row, column + 384);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly float Sum() => (SumOf(_a) + SumOf(_b)) + (SumOf(_c) + SumOf(_d));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly float Squares() => (SquaresOf(_a) + SquaresOf(_b)) + (SquaresOf(_c) + SquaresOf(_d));

        /// <summary>Subtracts a number from those columns that are within the row.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Subtract(float mean, int columnsLeft)
        {
            _a = Minus(_a, columnsLeft > 0 ? mean : 0);
            _b = Minus(_b, columnsLeft > 128 ? mean : 0);
            _c = Minus(_c, columnsLeft > 256 ? mean : 0);
            _d = Minus(_d, columnsLeft > 384 ? mean : 0);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Store(LayerNormArguments a, int row, int column, float shift, float scale)
        {
            StoreFour(a, row, column, _a, shift, scale);
            StoreFour(a, row, column + 128, _b, shift, scale);
            StoreFour(a, row, column + 256, _c, shift, scale);
            StoreFour(a, row, column + 384, _d, shift, scale);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static F4 LoadFour(LayerNormArguments a, int row, int column)
        {
            F4 v = default;
            if (column < a.Width)
            {
                v = Global.Float4(a.X + ((((long)row * a.XStride) + column) * sizeof(float)));
                if (a.Residual != 0)
                {
                    F4 r = Global.Float4(a.Residual + ((((long)row * a.ResidualStride) + column) * sizeof(float)));
                    v.X += r.X;
                    v.Y += r.Y;
                    v.Z += r.Z;
                    v.W += r.W;
                }

                if (a.Sum != 0)
                {
                    Global.Store4(a.Sum + ((((long)row * a.SumStride) + column) * sizeof(float)), v);
                }
            }

            return v;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void StoreFour(LayerNormArguments a, int row, int column, F4 d, float shift, float scale)
        {
            if (column >= a.Columns)
            {
                return;
            }

            F4 y = default;
            if (column < a.Width)
            {
                F4 weight = Global.Float4(a.Weight + ((long)column * sizeof(float))), bias = Global.Float4(a.Bias + ((long)column * sizeof(float)));
                y.X = Numbers.Fma((d.X - shift) * scale, weight.X, bias.X);
                y.Y = Numbers.Fma((d.Y - shift) * scale, weight.Y, bias.Y);
                y.Z = Numbers.Fma((d.Z - shift) * scale, weight.Z, bias.Z);
                y.W = Numbers.Fma((d.W - shift) * scale, weight.W, bias.W);
                if (a.Plain != 0)
                {
                    Global.Store4(a.Plain + ((((long)row * a.PlainStride) + column) * sizeof(float)), y);
                }
            }

            Results.Store(a.Y, ((long)row * a.YStride) + column, y, 4, a.Type, true);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static float SumOf(F4 v) => (v.X + v.Y) + (v.Z + v.W);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static float SquaresOf(F4 v) => Numbers.Fma(v.X, v.X, v.Y * v.Y) + Numbers.Fma(v.Z, v.Z, v.W * v.W);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static F4 Minus(F4 v, float mean) => new() { X = v.X - mean, Y = v.Y - mean, Z = v.Z - mean, W = v.W - mean };
    }
}
