using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;
using KernelAD.Kernels.Tiles;

namespace KernelAD.Kernels;

/// <summary>
/// Linear layers: y = f(x·Wᵀ + b) · scale + residual (or f of all), x [M, K] row-major, accumulated in fp32.
/// <para>Grid: x = column tiles of W, y = row tiles of x, z = splits of K. Rows beyond M repeat the last one and are not stored; beyond K both operands are zero.</para>
/// <para>Two families. <see cref="Exact{TTile, TCopy}"/> multiplies with FFMA: within rounding of any other float32 product.
/// <see cref="Fast{TTile, TUnit, TCopy}"/> multiplies on tensor cores; it counts K in bytes, so fp16 and tf32 are one source. Models: all, in every layer.</para>
/// <para>W lies in panels of 64 columns, zero beyond N and K: [N/64][K/16][16][64] floats for the exact kernels, [N/64][K/tile][64][64 bytes] for the fast ones,
/// so that a tile of a panel is contiguous.</para>
/// FLOPs 2·M·N·K. Bytes: x once per column tile, W once per row tile, y once.
/// </summary>
internal static class Linear
{
    private const int PanelColumns = 64;

    /// <summary>Bytes of a panel's tile along K: 64 columns of 64 bytes, or 16 rows of 64 floats.</summary>
    internal const int PanelTileBytes = 4096;

    private const int ReduceThreads = 256;

    /// <summary>Length along K of an exact product's tile.</summary>
    internal const int ExactTile = 16;

    /// <summary>Bytes along K of a fast product's tile.</summary>
    internal const int FastTileBytes = 64;

    /// <summary>Shared memory of an exact product of 64×64.</summary>
    internal const int ExactBytes64 = 2 * ExactTile * (64 + 4 + 64) * sizeof(float);

    /// <summary>Shared memory of a fast product of 64×64.</summary>
    internal const int FastBytes64 = 4 * 2 * 64 * FastTileBytes;

    /// <summary>Shared memory of a fast product of 128×128.</summary>
    internal const int FastBytes128 = 3 * 2 * 128 * FastTileBytes;

    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions()
    {
        const int ExactBytes128 = 2 * ExactTile * (128 + 4 + 128) * sizeof(float);
        MainLoop exact128 = new("FFMA", 0.86), exact64 = new("FFMA", 0.80), fast128 = new("HMMA", 0.50), fast128Of8 = new("HMMA", 0.38), fast64 = new("HMMA", 0.25);
        yield return Kernel("linear_fp32_128", 256, 2, ExactBytes128, 128, Exact<Exact128, AsyncCopy>, Exact<Exact128, DirectCopy>, exact128);
        yield return Kernel("linear_fp32_64", 128, 4, ExactBytes64, 104, Exact<Exact64, AsyncCopy>, Exact<Exact64, DirectCopy>, exact64);
        yield return Kernel("linear_fp16_128", 128, 2, FastBytes128, 224, Fast<Fast128, HalfUnit, AsyncCopy>, Fast<Fast128, HalfUnitTuring, DirectCopy>, fast128);
        yield return Kernel("linear_fp16_128of8", 256, 2, FastBytes128, 128, Fast<Fast128Of8, HalfUnit, AsyncCopy>, null, fast128Of8);
        yield return Kernel("linear_fp16_64", 128, 4, FastBytes64, 120, Fast<Fast64, HalfUnit, AsyncCopy>, Fast<Fast64, HalfUnitTuring, DirectCopy>, fast64);
        yield return Kernel("linear_tf32_128", 128, 2, FastBytes128, 216, Fast<Fast128, Tf32Unit, AsyncCopy>, null, fast128);
        yield return Kernel("linear_tf32_128of8", 256, 2, FastBytes128, 128, Fast<Fast128Of8, Tf32Unit, AsyncCopy>, null, fast128Of8);
        yield return Kernel("linear_tf32_64", 128, 4, FastBytes64, 120, Fast<Fast64, Tf32Unit, AsyncCopy>, null, fast64);

        Action<LinearArguments> reduce = Reduce;
        yield return KernelCatalog.Kernel("linear_reduce", ReduceThreads, 4, 0, 64, reduce, reduce);

        static KernelDefinition Kernel(
            string name, int threads, int minBlocks, int sharedBytes, int registers, Action<LinearArguments> ampere, Action<LinearArguments>? turing, MainLoop loop) =>
            KernelCatalog.Kernel(name, threads, minBlocks, sharedBytes, registers, ampere, turing, loop);
    }

    /// <summary>
    /// The second kernel of a product whose K was split: adds the splits' sums in their order and finishes them. x is the workspace [K splits, M, XStride] of floats, XStride a multiple
    /// of 4. Grid: x = vectors of four results by 256.
    /// </summary>
    public static void Reduce(LinearArguments a)
    {
        int vectors = (a.N + 3) / 4, vector = (Grid.IdxX * ReduceThreads) + Threads.Index;
        int row = vector / vectors, column = (vector - (row * vectors)) * 4;
        if (row >= a.M)
        {
            return;
        }

        long x = a.X + ((((long)row * a.XStride) + column) * sizeof(float)), split = (long)a.M * a.XStride * sizeof(float);
        F4 sums = Global.Float4(x);
        for (int i = 1; i < a.K; i++)
        {
            x += split;
            F4 more = Global.Float4(x);
            sums.X += more.X;
            sums.Y += more.Y;
            sums.Z += more.Z;
            sums.W += more.W;
        }

        Epilogue.Store(a, a.Y, row, column, sums);
    }

    /// <summary>fp32 in FFMA.</summary>
    public static void Exact<TTile, TCopy>(LinearArguments a)
        where TTile : struct, IExactTile
        where TCopy : struct, ICopy => ExactProduct<TTile, MatrixRows8, TCopy>(a, default);

    /// <summary>fp16 or tf32 on tensor cores.</summary>
    public static void Fast<TTile, TUnit, TCopy>(LinearArguments a)
        where TTile : struct, IFastTile
        where TUnit : struct, IMatrixUnit
        where TCopy : struct, ICopy => FastProduct<TTile, MatrixRows4, MatrixResults, TUnit, TCopy>(a, default, default);

    /// <summary>
    /// fp32 in FFMA, two stages. A stage holds 16 k-rows of [rows of x | 4 floats | columns of W], so that a thread's rows and columns are vectors; the gap
    /// spreads the transposing 4-byte copies of x over the banks (two-way conflicts remain).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void ExactProduct<TTile, TRows, TCopy>(LinearArguments a, TRows rows)
        where TTile : struct, IExactTile
        where TRows : struct, IExactRows
        where TCopy : struct, ICopy
    {
        TTile sums = default;
        TCopy copy = default;
        int thread = Threads.Index, side = sums.Side;
        uint kRow = (uint)((2 * side) + 4) * sizeof(float), stageBytes = ExactTile * kRow;
        uint smem = Shared.Base();
        int allTiles = (a.K + ExactTile - 1) / ExactTile, firstTile = Grid.IdxZ * a.TilesPerSplit;
        int tiles = Numbers.Min(allTiles - firstTile, a.TilesPerSplit);

        // x: a thread copies one k of eight rows.
        int k = thread & (ExactTile - 1), row = thread >> 4, rowStep = sums.Threads >> 4;
        rows.Start(a, (Grid.IdxY * side) + row, rowStep, (firstTile * ExactTile) + k);
        uint xTarget = smem + ((uint)k * kRow) + ((uint)row * sizeof(float)), xStep = (uint)rowStep * sizeof(float);
        int kLeft = a.K - (firstTile * ExactTile) - k;

        // W: a tile of a panel is 16 rows of 64 floats; a thread copies 16 bytes of every (threads/16)-th row.
        long panelBytes = (long)allTiles * PanelTileBytes;
        long w = a.Weight + (Grid.IdxX * (side / PanelColumns) * panelBytes) + ((long)firstTile * PanelTileBytes) + (thread * 16);
        uint wTarget = smem + ((uint)row * kRow) + (uint)((side + 4 + ((thread & 15) * 4)) * sizeof(float));

        LoadExact(copy, side, rows, xTarget, xStep, kLeft, wTarget, w, panelBytes, kRow);
        int warp = thread >> 5, lane = thread & 31;
        int laneRow = ((warp / sums.WarpsAcross) * 4) + (lane >> 3), laneColumn = ((warp % sums.WarpsAcross) * 8) + (lane & 7);
        uint xRead = smem + ((uint)laneRow * 16), wRead = smem + (uint)((side + 4 + (laneColumn * 4)) * sizeof(float));
        uint stage = 0;
        for (int tile = 1; tile <= tiles; tile++)
        {
            copy.WaitAll();
            Threads.Barrier();
            rows.Advance();
            w += PanelTileBytes;
            kLeft -= ExactTile;
            uint next = stageBytes - stage;
            if (tile < tiles)
            {
                LoadExact(copy, side, rows, xTarget + next, xStep, kLeft, wTarget + next, w, panelBytes, kRow);
            }

            sums.Multiply(xRead + stage, wRead + stage);
            stage = next;
        }

        // By way of shared memory of its own a thread can loop over its results: the epilogue is in the program twice instead of sixteen times.
        Threads.Barrier();
        long y = a.Y + ((long)Grid.IdxZ * a.M * a.YStride * sizeof(float));
        uint own = smem + ((uint)thread * 16);
        int firstRow = (Grid.IdxY * side) + (laneRow * 4), firstColumn = (Grid.IdxX * side) + (laneColumn * 4);
        sums.Stage(own, 0);
        StoreExact(a, sums, 0, y, own, firstRow, firstColumn);
        sums.Stage(own, 1);
        StoreExact(a, sums, 1, y, own, firstRow, firstColumn);
    }

    /// <summary>
    /// fp16 or tf32 on tensor cores, stages of 64 bytes along K. 16-byte chunk c of row r lies at r·64 + ((c ^ (r/2 mod 4)) · 16): neither the copies nor
    /// ldmatrix meet bank conflicts.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void FastProduct<TTile, TRows, TResults, TUnit, TCopy>(LinearArguments a, TRows rows, TResults results)
        where TTile : struct, IFastTile
        where TRows : struct, IFastRows
        where TResults : struct, IResultRows
        where TUnit : struct, IMatrixUnit
        where TCopy : struct, ICopy
    {
        TTile sums = default;
        TUnit unit = default;
        TCopy copy = default;
        int thread = Threads.Index, side = 2 * sums.Rows, warpsAcross = side / sums.Columns, rowStep = 16 * warpsAcross;
        uint operandBytes = (uint)side * FastTileBytes, stageBytes = 2 * operandBytes;
        uint smem = Shared.Base();
        int kBytes = a.K * unit.ElementBytes, allTiles = (kBytes + FastTileBytes - 1) / FastTileBytes, firstTile = Grid.IdxZ * a.TilesPerSplit;
        int tiles = Numbers.Min(allTiles - firstTile, a.TilesPerSplit);

        // A thread copies one chunk of every 32nd row of both operands, of every 64th where there are twice the threads.
        int chunk = thread & 3, row = thread >> 2;
        rows.Start(a, unit, (Grid.IdxY * side) + row, rowStep, (firstTile * FastTileBytes) + (chunk * 16));
        int bytesLeft = kBytes - (firstTile * FastTileBytes) - (chunk * 16);
        uint target = smem + (uint)((row * FastTileBytes) + ((chunk ^ ((row >> 1) & 3)) << 4));
        long panelBytes = (long)allTiles * PanelTileBytes;
        long w = a.Weight + ((Grid.IdxX * side) / PanelColumns * panelBytes) + ((long)firstTile * PanelTileBytes) + (thread * 16);

        long second = w + panelBytes;
        for (int stage = 0; stage < sums.Stages - 1; stage++)
        {
            LoadFast(copy, unit, side, rowStep, rows, target + ((uint)stage * stageBytes), bytesLeft, w, second);
            rows.Advance();
            w += PanelTileBytes;
            second += PanelTileBytes;
            bytesLeft -= FastTileBytes;
        }

        // ldmatrix: lane → row and chunk of the piece that it addresses; x in the order of the product's four registers, W for two times 8 columns.
        int lane = thread & 31, warp = thread >> 5, warpRow = (warp / warpsAcross) * sums.Rows, warpColumn = (warp % warpsAcross) * sums.Columns;
        int xRow = lane & 15, wRow = (lane & 7) + ((lane >> 4) << 3);
        uint xRead = smem + (uint)(((warpRow + xRow) * FastTileBytes) + (((lane >> 4) ^ ((xRow >> 1) & 3)) << 4));
        uint wRead = smem + operandBytes + (uint)(((warpColumn + wRow) * FastTileBytes) + ((((lane >> 3) & 1) ^ ((wRow >> 1) & 3)) << 4));
        uint read = 0, following = stageBytes, third = 2 * stageBytes, write = (uint)(sums.Stages - 1) * stageBytes;
        for (int tile = 0; tile < tiles; tile++)
        {
            if (sums.Stages == 3)
            {
                copy.WaitAllButOne();
            }
            else
            {
                copy.WaitAllButTwo();
            }

            Threads.Barrier();

            // Beyond the split this fetches what nobody reads, beyond K zeros: cheaper than a branch.
            LoadFast(copy, unit, side, rowStep, rows, target + write, bytesLeft, w, second);
            rows.Advance();
            w += PanelTileBytes;
            second += PanelTileBytes;
            bytesLeft -= FastTileBytes;
            sums.Multiply(unit, xRead + read, wRead + read);
            sums.Multiply(unit, (xRead + read) ^ 32, (wRead + read) ^ 32);
            uint done = read;
            read = following;
            following = sums.Stages == 3 ? write : third;
            third = write;
            write = done;
        }

        copy.WaitAll();
        // By way of shared memory a lane gets four neighbouring columns, so that rows are stored whole; each warp uses its own part.
        Threads.Barrier();
        long y = a.Y + ((long)Grid.IdxZ * a.M * a.YStride * sizeof(float));
        uint rowBytes = (uint)(sums.Columns * sizeof(float)) + FastStaging.Gap, own = smem + ((uint)warp * 16 * rowBytes);
        uint stageTarget = own + ((uint)(lane >> 2) * rowBytes) + ((uint)(lane & 3) * 8);
        int firstRow = (Grid.IdxY * side) + warpRow, firstColumn = (Grid.IdxX * side) + warpColumn;
        int lanesPerRow = sums.Columns / 4, rowsAtOnce = 32 / lanesPerRow, laneRow = lane / lanesPerRow, column = firstColumn + (lane % lanesPerRow * 4);
        F4 bias = Epilogue.Bias(a, column);
        results.Start(column);
        uint stored = own + ((uint)laneRow * rowBytes) + (uint)(lane % lanesPerRow * 16), groupStep = (uint)rowsAtOnce * rowBytes;
        for (int slab = 0; slab < sums.Rows / 16; slab++)
        {
            sums.Stage(stageTarget, slab);
            Threads.WarpBarrier();
            for (int group = 0; group < 16; group += 4 * rowsAtOnce)
            {
                uint from = stored + ((uint)group * rowBytes);
                EpilogueRows rowsOfSums = new() { R0 = Shared.Float4(from), R1 = Shared.Float4(from + groupStep) };
                rowsOfSums.R2 = Shared.Float4(from + (2 * groupStep));
                rowsOfSums.R3 = Shared.Float4(from + (3 * groupStep));
                Epilogue.StoreRows(a, results, y, firstRow + (slab * 16) + group + laneRow, rowsAtOnce, column, bias, rowsOfSums);
            }

            Threads.WarpBarrier();
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadExact<TRows, TCopy>(
        TCopy copy, int side, TRows rows, uint xTarget, uint xStep, int kLeft, uint wTarget, long w, long panelBytes, uint kRow)
        where TRows : struct, IExactRows
        where TCopy : struct, ICopy
    {
        uint bytes = kLeft > 0 ? 4u : 0u;
        rows.Copy(copy, xTarget, xStep, bytes);
        if (side == 128)
        {
            copy.Copy16(wTarget, w, 16);
            copy.Copy16(wTarget + (PanelColumns * sizeof(float)), w + panelBytes, 16);
        }
        else
        {
            copy.Copy16(wTarget, w, 16);
            copy.Copy16(wTarget + (8 * kRow), w + (PanelTileBytes / 2), 16);
        }

        copy.Commit();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadFast<TRows, TUnit, TCopy>(
        TCopy copy, TUnit unit, int side, int rowStep, TRows rows, uint target, int bytesLeft, long w, long second)
        where TRows : struct, IFastRows
        where TUnit : struct, IMatrixUnit
        where TCopy : struct, ICopy
    {
        const uint HalfTile = PanelTileBytes / 2;
        uint bytes = bytesLeft > 0 ? 16u : 0u, wTarget = target + (uint)(side * FastTileBytes);
        copy.Copy16(wTarget, w, bytes);
        if (rowStep == 64)
        {
            rows.CopyTwo(copy, unit, target, 2 * HalfTile, bytes);
            copy.Copy16(wTarget + (2 * HalfTile), second, bytes);
            copy.Commit();
            return;
        }

        copy.Copy16(wTarget + HalfTile, w + HalfTile, bytes);
        if (side == 128)
        {
            rows.CopyFour(copy, unit, target, HalfTile, bytes);
            copy.Copy16(wTarget + (2 * HalfTile), second, bytes);
            copy.Copy16(wTarget + (3 * HalfTile), second + HalfTile, bytes);
        }
        else
        {
            rows.CopyTwo(copy, unit, target, HalfTile, bytes);
        }

        copy.Commit();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreExact<TTile>(LinearArguments a, TTile sums, int half, long y, uint own, int firstRow, int firstColumn)
        where TTile : struct, IExactTile
    {
        for (int i = 0; i < sums.HalfCount; i++)
        {
            F4 v = Shared.Float4(own + (uint)(i * sums.Threads * 16));
            Epilogue.Store(a, y, firstRow + sums.StagedRow(half, i), firstColumn + sums.StagedColumn(half, i), v);
        }
    }
}
