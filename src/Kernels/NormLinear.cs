using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;
using KernelAD.Kernels.Tiles;

namespace KernelAD.Kernels;

/// <summary>
/// LayerNorm fused into the Linear that reads it: y = f(((x − mean) / √(var + ε) · g + h)·Wᵀ + b) · scale + residual. A block normalises its rows of x once, over all of K, into
/// shared memory, and then streams W past them: a launch and a round trip through memory less than two kernels. Every column tile repeats the norm (8·K FLOP a row against
/// 2·K·128 of the product), so it is for grids that would not fill the GPU anyway; with many rows a norm of its own is faster.
/// <para>Grid: x = tiles of 128 columns, y = tiles of rows. K is bounded by shared memory: rows of x, then the stages of W.</para>
/// Models: ViTAD, InTra and every other pre-norm transformer.
/// </summary>
internal static class NormLinear
{
    private const int Columns = 128;
    private const int ExactRows = 32;
    private const int FastRows = 64;
    private const uint ExactKRow = (ExactRows + 4) * sizeof(float);
    private const uint ExactStage = Linear.ExactTile * Columns * sizeof(float);
    private const uint FastStage = Columns * Linear.FastTileBytes;

    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions()
    {
        MainLoop exact = new("FFMA", 0.80), fast = new("HMMA", 0.40);
        yield return Kernel("norm_linear_fp32", 128, Exact<AsyncCopy>, Exact<DirectCopy>, exact);
        yield return Kernel("norm_linear_fp16", 168, Fast<HalfUnit, AsyncCopy>, Fast<HalfUnitTuring, DirectCopy>, fast);
        yield return Kernel("norm_linear_tf32", 168, Fast<Tf32Unit, AsyncCopy>, null, fast);

        static KernelDefinition Kernel(
            string name, int registers, Action<NormLinearArguments> ampere, Action<NormLinearArguments>? turing, MainLoop loop) =>
            KernelCatalog.Kernel(name, threads: 128, minBlocks: 2, sharedBytes: 0, registers, ampere, turing, loop);
    }

    /// <summary>fp32 in FFMA: 32 rows by 128 columns. The rows lie k-major, [K][32 rows | 4 floats], two stages of W behind them.</summary>
    public static void Exact<TCopy>(NormLinearArguments n)
        where TCopy : struct, ICopy
    {
        LinearArguments a = n.Linear;
        Exact32x128 sums = default;
        TCopy copy = default;
        int thread = Threads.Index, tiles = (a.K + Linear.ExactTile - 1) / Linear.ExactTile;
        uint rows = Shared.Base(), stages = rows + ((uint)(tiles * Linear.ExactTile) * ExactKRow);

        // W: a thread copies 16 bytes of every eighth k-row of both panels.
        long panelBytes = (long)tiles * Linear.PanelTileBytes;
        long w = a.Weight + (Grid.IdxX * 2 * panelBytes) + (thread * 16);
        uint wTarget = stages + (uint)((thread >> 4) * Columns * sizeof(float)) + (uint)((thread & 15) * 16);
        LoadExact(copy, wTarget, w, panelBytes);

        int lane = Threads.Lane, warp = Threads.Warp;
        for (int group = 0; group < ExactRows / 16; group++)
        {
            int row = (group * 16) + (warp * 4) + (lane >> 3);
            RowNorm norm = RowNorm.Of(n, (Grid.IdxY * ExactRows) + row);
            for (int k = lane & 7; k < tiles * Linear.ExactTile; k += 8)
            {
                Shared.Store(rows + ((uint)k * ExactKRow) + ((uint)row * sizeof(float)), k < a.K ? norm.Value(n, k) : 0);
            }
        }

        int laneRow = lane >> 3, laneColumn = (warp * 8) + (lane & 7);
        uint xRead = rows + ((uint)laneRow * 16), wRead = stages + ((uint)laneColumn * 16), stage = 0;
        for (int tile = 1; tile <= tiles; tile++)
        {
            copy.WaitAll();
            Threads.Barrier();
            w += Linear.PanelTileBytes;
            uint next = ExactStage - stage;
            if (tile < tiles)
            {
                LoadExact(copy, wTarget + next, w, panelBytes);
            }

            sums.Multiply(xRead, wRead + stage);
            xRead += Linear.ExactTile * ExactKRow;
            stage = next;
        }

        Threads.Barrier();
        uint own = rows + ((uint)thread * 16);
        int firstRow = (Grid.IdxY * ExactRows) + (laneRow * 4), firstColumn = (Grid.IdxX * Columns) + (laneColumn * 4);
        sums.Stage(own, 0);
        Linear.StoreExact(a, sums, 0, a.Y, own, firstRow, firstColumn);
        sums.Stage(own, 1);
        Linear.StoreExact(a, sums, 1, a.Y, own, firstRow, firstColumn);
    }

    /// <summary>fp16 or tf32 on tensor cores: 64 rows by 128 columns. The rows lie in tiles of 64 bytes along K, swizzled as in <see cref="Linear"/>, three stages of W behind them.</summary>
    public static void Fast<TUnit, TCopy>(NormLinearArguments n)
        where TUnit : struct, IMatrixUnit
        where TCopy : struct, ICopy
    {
        LinearArguments a = n.Linear;
        Fast32x64 sums = default;
        TUnit unit = default;
        TCopy copy = default;
        int thread = Threads.Index, kBytes = a.K * unit.ElementBytes, tiles = (kBytes + Linear.FastTileBytes - 1) / Linear.FastTileBytes;
        uint rows = Shared.Base(), stages = rows + (uint)(tiles * FastRows * Linear.FastTileBytes);

        // W: a thread copies one chunk of every 32nd column.
        int chunk = thread & 3, column = thread >> 2;
        long panelBytes = (long)tiles * Linear.PanelTileBytes;
        long w = a.Weight + (Grid.IdxX * 2 * panelBytes) + (thread * 16);
        uint wTarget = stages + (uint)((column * Linear.FastTileBytes) + ((chunk ^ ((column >> 1) & 3)) << 4));
        int tilesLeft = tiles;
        LoadFast(copy, wTarget, tilesLeft, w, panelBytes);
        LoadFast(copy, wTarget + FastStage, --tilesLeft, w + Linear.PanelTileBytes, panelBytes);
        w += 2 * Linear.PanelTileBytes;

        // Eight lanes share a row, four neighbouring values each: four rows' stores fill all banks once.
        int lane = Threads.Lane, warp = Threads.Warp;
        for (int group = 0; group < FastRows / 16; group++)
        {
            int row = (group * 16) + (warp * 4) + (lane >> 3);
            RowNorm norm = RowNorm.Of(n, (Grid.IdxY * FastRows) + row);
            for (int k = (lane & 7) * 4; k * unit.ElementBytes < tiles * Linear.FastTileBytes; k += 32)
            {
                F4 values = default;
                if (k < a.K)
                {
                    values = norm.Values(n, k);
                }

                int at = k * unit.ElementBytes, inTile = at & (Linear.FastTileBytes - 1);
                uint target = rows + (uint)((at / Linear.FastTileBytes * FastRows * Linear.FastTileBytes) + (row * Linear.FastTileBytes))
                    + (uint)((((inTile >> 4) ^ ((row >> 1) & 3)) << 4) + (inTile & 15));
                unit.Store(target, values);
            }
        }

        int warpRow = (warp >> 1) * 32, warpColumn = (warp & 1) * 64, xRow = lane & 15, wRow = (lane & 7) + ((lane >> 4) << 3);
        uint xRead = rows + (uint)(((warpRow + xRow) * Linear.FastTileBytes) + (((lane >> 4) ^ ((xRow >> 1) & 3)) << 4));
        uint wRead = stages + (uint)(((warpColumn + wRow) * Linear.FastTileBytes) + ((((lane >> 3) & 1) ^ ((wRow >> 1) & 3)) << 4));
        uint read = 0, following = FastStage, write = 2 * FastStage;
        for (int tile = 0; tile < tiles; tile++)
        {
            copy.WaitAllButOne();
            Threads.Barrier();
            LoadFast(copy, wTarget + write, --tilesLeft, w, panelBytes);
            w += Linear.PanelTileBytes;
            sums.Multiply(unit, xRead, wRead + read);
            sums.Multiply(unit, xRead ^ 32, (wRead + read) ^ 32);
            xRead += FastRows * Linear.FastTileBytes;
            uint done = read;
            read = following;
            following = write;
            write = done;
        }

        copy.WaitAll();
        Threads.Barrier();
        uint own = rows + ((uint)warp * 16 * FastStaging.RowBytes64), stageTarget = own + ((uint)(lane >> 2) * FastStaging.RowBytes64) + ((uint)(lane & 3) * 8);
        int firstRow = (Grid.IdxY * FastRows) + warpRow, firstColumn = (Grid.IdxX * Columns) + warpColumn;
        sums.Stage(stageTarget, 0);
        Linear.StoreFast(a, 64, a.Y, own, FastStaging.RowBytes64, firstRow, firstColumn);
        Threads.WarpBarrier();
        sums.Stage(stageTarget, 1);
        Linear.StoreFast(a, 64, a.Y, own, FastStaging.RowBytes64, firstRow + 16, firstColumn);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadExact<TCopy>(TCopy copy, uint target, long w, long panelBytes)
        where TCopy : struct, ICopy
    {
        const uint EightRows = 8 * Columns * sizeof(float);
        copy.Copy16(target, w, 16);
        copy.Copy16(target + EightRows, w + (Linear.PanelTileBytes / 2), 16);
        copy.Copy16(target + 256, w + panelBytes, 16);
        copy.Copy16(target + 256 + EightRows, w + panelBytes + (Linear.PanelTileBytes / 2), 16);
        copy.Commit();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadFast<TCopy>(TCopy copy, uint target, int tilesLeft, long w, long panelBytes)
        where TCopy : struct, ICopy
    {
        const uint HalfTile = Linear.PanelTileBytes / 2;
        uint bytes = tilesLeft > 0 ? 16u : 0u;
        copy.Copy16(target, w, bytes);
        copy.Copy16(target + HalfTile, w + HalfTile, bytes);
        copy.Copy16(target + (2 * HalfTile), w + panelBytes, bytes);
        copy.Copy16(target + (3 * HalfTile), w + panelBytes + HalfTile, bytes);
        copy.Commit();
    }
}

/// <summary>Mean and deviation of a row that eight neighbouring lanes share; beyond the last row, of the last one.</summary>
internal struct RowNorm
{
    private long _row;
    private float _mean;
    private float _inverse;

    /// <summary>Reads the row twice (the second time from L1): the variance of deviations does not cancel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowNorm Of(NormLinearArguments n, int row)
    {
        LinearArguments a = n.Linear;
        RowNorm norm = default;
        norm._row = a.X + ((long)Numbers.Min(row, a.M - 1) * a.XStride * sizeof(float));
        int first = (Threads.Lane & 7) * 4;
        float sum = 0;
        for (int k = first; k < a.K; k += 32)
        {
            F4 x = Global.Float4(norm._row + (k * sizeof(float)));
            sum += (x.X + x.Y) + (x.Z + x.W);
        }

        norm._mean = OverEightLanes(sum) / a.K;
        float squares = 0;
        for (int k = first; k < a.K; k += 32)
        {
            F4 x = Global.Float4(norm._row + (k * sizeof(float)));
            float dx = x.X - norm._mean, dy = x.Y - norm._mean, dz = x.Z - norm._mean, dw = x.W - norm._mean;
            squares = Numbers.Fma(dx, dx, Numbers.Fma(dy, dy, Numbers.Fma(dz, dz, Numbers.Fma(dw, dw, squares))));
        }

        norm._inverse = Numbers.ReciprocalSqrt((OverEightLanes(squares) / a.K) + n.Epsilon);
        return norm;
    }

    /// <summary>The normalised value k.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly float Value(NormLinearArguments n, int k)
    {
        long at = (long)k * sizeof(float);
        return Numbers.Fma((Global.Float(_row + at) - _mean) * _inverse, Global.Constant(n.NormWeight + at), Global.Constant(n.NormBias + at));
    }

    /// <summary>The normalised values k … k + 3.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly F4 Values(NormLinearArguments n, int k)
    {
        long at = (long)k * sizeof(float);
        F4 x = Global.Float4(_row + at), weight = Global.Float4(n.NormWeight + at), bias = Global.Float4(n.NormBias + at);
        return new F4
        {
            X = Numbers.Fma((x.X - _mean) * _inverse, weight.X, bias.X),
            Y = Numbers.Fma((x.Y - _mean) * _inverse, weight.Y, bias.Y),
            Z = Numbers.Fma((x.Z - _mean) * _inverse, weight.Z, bias.Z),
            W = Numbers.Fma((x.W - _mean) * _inverse, weight.W, bias.W),
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float OverEightLanes(float value)
    {
        value += Threads.ShuffleXor(value, 4);
        value += Threads.ShuffleXor(value, 2);
        return value + Threads.ShuffleXor(value, 1);
    }
}
