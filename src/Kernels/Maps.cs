using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels;

/// <summary>
/// Maps of how far a picture's features, or the picture itself, are from their reconstruction. (The squared difference is
/// <see cref="Elementwise"/>'s: subtract, square.)
/// <para>The cosine distance is computed as ½·‖a/‖a‖ − b/‖b‖‖²: where 1 − a·b/(‖a‖·‖b‖) would cancel to an error of 3e-7, that of this form is below
/// 2e-7·√distance, and errors of the norms count only relative to the distance.</para>
/// Models: ViTAD (cosine), ADTR, UniAD, UTRAD (Euclidean), InTra (gradient similarity). FLOPs 6 an element, gradient similarity 45. Bytes: both operands once.
/// </summary>
internal static class Maps
{
    /// <summary>Squares of the norm at which torch's cosine_similarity clamps.</summary>
    private const float SmallestSquare = 1e-16f;

    private const float LargestInverse = 1e8f;

    private const float Tiny = 1e-12f;

    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions() =>
    [
        KernelCatalog.Kernel<DistanceArguments>("token_distance", DistanceArguments.Threads, 4, 0, 40, TokenDistance),
        KernelCatalog.Kernel<DistanceArguments>("plane_distance", DistanceArguments.Threads, 4, DistanceArguments.PlaneSharedBytes, 32, PlaneDistance),
        KernelCatalog.Kernel<GradientSimilarityArguments>("gradient_similarity", GradientSimilarityArguments.Threads, 16, 0, 40, GradientSimilarity),
    ];

    /// <summary>A warp a token.</summary>
    public static void TokenDistance(DistanceArguments a)
    {
        int token = (Grid.IdxX * DistanceArguments.TokensPerBlock) + Threads.Warp, lane = Threads.Lane;
        if (token >= a.Tokens)
        {
            return;
        }

        long x = a.A + (((Grid.IdxY * a.ABatchStride) + ((long)token * a.AStride) + lane) * sizeof(float));
        long y = a.B + (((Grid.IdxY * a.BBatchStride) + ((long)token * a.BStride) + lane) * sizeof(float));
        float xScale = 1, yScale = 1, missing = 0;
        if (a.Measure == DistanceMeasure.Cosine)
        {
            float xx = 0, yy = 0;
            for (int c = 0; c < a.Width - lane; c += 32)
            {
                float u = Global.Float(x + ((long)c * sizeof(float))), v = Global.Float(y + ((long)c * sizeof(float)));
                xx = Numbers.Fma(u, u, xx);
                yy = Numbers.Fma(v, v, yy);
            }

            xx = Threads.WarpSum(xx);
            yy = Threads.WarpSum(yy);
            xScale = Numbers.Min(Numbers.ReciprocalSqrt(xx), LargestInverse);
            yScale = Numbers.Min(Numbers.ReciprocalSqrt(yy), LargestInverse);
            missing = MissingToOne(xx) + MissingToOne(yy);
        }

        float squares = 0;
        for (int c = 0; c < a.Width - lane; c += 32)
        {
            float d = (Global.Float(x + ((long)c * sizeof(float))) * xScale) - (Global.Float(y + ((long)c * sizeof(float))) * yScale);
            squares = Numbers.Fma(d, d, squares);
        }

        squares = Threads.WarpSum(squares);
        if (lane == 0)
        {
            Store(a, token, a.Measure == DistanceMeasure.Cosine ? (0.5f * squares) + missing : Numbers.Sqrt(squares));
        }
    }

    /// <summary>A block 32 tokens: warp w adds up channels w, w + 8 …, then the first warp adds up the warps.</summary>
    public static void PlaneDistance(DistanceArguments a)
    {
        const int Warps = DistanceArguments.Threads / 32;
        int lane = Threads.Lane, warp = Threads.Warp, token = (Grid.IdxX * 32) + lane;
        uint smem = Shared.Base() + (uint)(lane * sizeof(float));
        float squares = 0;
        if (token < a.Tokens)
        {
            long x = a.A + (((Grid.IdxY * a.ABatchStride) + token) * sizeof(float)), y = a.B + (((Grid.IdxY * a.BBatchStride) + token) * sizeof(float));
            for (int c = warp; c < a.Width; c += Warps)
            {
                float d = Global.Float(x + ((long)c * a.AStride * sizeof(float))) - Global.Float(y + ((long)c * a.BStride * sizeof(float)));
                squares = Numbers.Fma(d, d, squares);
            }
        }

        Shared.Store(smem + (uint)(warp * 32 * sizeof(float)), squares);
        Threads.Barrier();
        if (warp == 0 && token < a.Tokens)
        {
            for (int w = 1; w < Warps; w++)
            {
                squares += Shared.Float(smem + (uint)(w * 32 * sizeof(float)));
            }

            Store(a, token, Numbers.Sqrt(squares));
        }
    }

    /// <summary>A thread walks down a column and keeps what the last two rows contribute.</summary>
    public static void GradientSimilarity(GradientSimilarityArguments a)
    {
        int x = (Grid.IdxX * GradientSimilarityArguments.Threads) + Threads.Index, first = Grid.IdxY * GradientSimilarityArguments.StripRows;
        if (x >= a.Width)
        {
            return;
        }

        long plane = (long)Grid.IdxZ * a.Height * a.Width * sizeof(float);
        RowGradient above = RowGradient.Read(a, a.A + plane, first - 1, x), row = RowGradient.Read(a, a.A + plane, first, x);
        RowGradient aboveB = RowGradient.Read(a, a.B + plane, first - 1, x), rowB = RowGradient.Read(a, a.B + plane, first, x);
        int end = Numbers.Min(first + GradientSimilarityArguments.StripRows, a.Height);
        for (int y = first; y < end; y++)
        {
            RowGradient below = RowGradient.Read(a, a.A + plane, y + 1, x), belowB = RowGradient.Read(a, a.B + plane, y + 1, x);
            float g = SquaredMagnitude(above, row, below), h = SquaredMagnitude(aboveB, rowB, belowB);
            float numerator = Numbers.Fma(2 * Numbers.Sqrt(g), Numbers.Sqrt(h), a.C);
            Global.Store(a.Y + plane + ((((long)y * a.Width) + x) * sizeof(float)), numerator * Numbers.Reciprocal(g + h + (a.C + Tiny)));
            above = row;
            row = below;
            aboveB = rowB;
            rowB = belowB;
        }
    }

    /// <summary>
    /// What a vector of squared length <paramref name="square"/> lacks to a unit vector because its norm was clamped: ½·(1 − ‖a/max(‖a‖, 1e−8)‖²),
    /// by which ½·‖a − b‖² and 1 − a·b differ. NaN for a vector that is not finite.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float MissingToOne(float square) => square < SmallestSquare ? 0.5f - (0.5f * square * LargestInverse * LargestInverse) : square - square;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(DistanceArguments a, int token, float distance)
    {
        long offset = (((long)Grid.IdxY * a.Tokens) + token) * sizeof(float);
        float addend = a.Addend != 0 ? Global.Float(a.Addend + offset) : 0;
        Global.Store(a.Y + offset, Numbers.Fma(a.Scale, distance, addend));
    }

    /// <summary>h² + v² + 1e−12.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float SquaredMagnitude(RowGradient above, RowGradient row, RowGradient below)
    {
        const float Third = 1f / 3;
        float h = (above.Difference + row.Difference + below.Difference) * Third, v = (above.Sum - below.Sum) * Third;
        return Numbers.Fma(h, h, Numbers.Fma(v, v, Tiny));
    }

    /// <summary>Three neighbours of a row: left minus right, and their sum. Zeros beyond the border.</summary>
    private struct RowGradient
    {
        public float Difference;
        public float Sum;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static RowGradient Read(GradientSimilarityArguments a, long plane, int y, int x)
        {
            float left = 0, middle = 0, right = 0;
            if ((uint)y < (uint)a.Height)
            {
                long address = plane + ((((long)y * a.Width) + x) * sizeof(float));
                left = x > 0 ? Global.Float(address - sizeof(float)) : 0;
                middle = Global.Float(address);
                right = x < a.Width - 1 ? Global.Float(address + sizeof(float)) : 0;
            }

            return new RowGradient { Difference = left - right, Sum = left + middle + right };
        }
    }
}
