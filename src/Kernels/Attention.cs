using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;
using KernelAD.Kernels.Tiles;

namespace KernelAD.Kernels;

#pragma warning disable IDE0065 // Inside the namespace the aliases need no qualified names.
using Bytes128 = FastQueriesPair<FastQueriesPair<FastQueriesStep>>;
using Bytes256 = FastQueriesPair<FastQueriesPair<FastQueriesPair<FastQueriesStep>>>;
using Bytes512 = FastQueriesPair<FastQueriesPair<FastQueriesPair<FastQueriesPair<FastQueriesStep>>>>;
using Bytes64 = FastQueriesPair<FastQueriesStep>;
using ExactValues128 = ExactOutputPair<ExactOutputPair<ExactOutput32>>;
using ExactValues64 = ExactOutputPair<ExactOutput32>;
using Keys32 = FastScoresPair<FastScores16>;
using Keys64 = FastScoresPair<FastScoresPair<FastScores16>>;
using Values128 = FastOutputPair<FastOutputPair<FastOutputPair<FastOutput16>>>;
using Values32 = FastOutputPair<FastOutput16>;
using Values64 = FastOutputPair<FastOutputPair<FastOutput16>>;
#pragma warning restore IDE0065

/// <summary>
/// Multi-head attention: per batch item and head o = softmax(scale · q·kᵀ)·v, the N×N weights never in memory. A block takes some queries of one head and goes
/// over the keys in tiles with the online softmax of Milakov and Gimelshein (2018): per query the running maximum m and sum l of 2^(s − m), logits s in units of
/// log₂ e, and an output that is rescaled when m grows. Logits of keys that do not exist or are not seen are −∞; m begins at −1e30, not at −∞, so that a tile
/// that a query does not see at all gives weights 0.
/// <para>Grid: x = tiles of queries, y = heads, z = batch. A warp has 16 queries; warps without queries only copy. Keys are padded to tiles of 64, of 32 in the exact
/// kernels and those for heads wider than 64. Products done per product needed: 272·320/257² = 1.3 for a ViT's 257 tokens, 64²/49² = 1.7 for InTra's windows of 49.
/// Attention is 10 % and 1 % of these models' work, and smaller tiles would lose more to copies and synchronisation; InTra's grid of 8 heads × 256 windows fills every
/// device with one tile a block.</para>
/// <para>Two families. <see cref="Exact{TOutput, TCopy}"/> multiplies with FFMA: errors of a float softmax, a few 1e-6.
/// <see cref="Fast{TQueries, TScores, TOutput, TUnit, TValues, TCopy, TCase}"/> multiplies on tensor cores, weights rounded to the operands' type, sums in fp32.</para>
/// <para>Masks are computed from the coordinates of tokens, only in tiles of keys where a warp's queries have neighbours; tiles that no query of the block sees are
/// skipped. Models: all; heads 64 wide (ViTAD), 32 and 64 (InTra), 32 with a mask (UniAD).</para>
/// FLOPs 2·B·H·Lq·Lk·(dq + dv). Bytes: k and v once per tile of queries, q and o once.
/// </summary>
internal static class Attention
{
    private const float Lowest = -1e30f;

    /// <summary>
    /// Beyond this a scaled maximum is rounded by so much (2^25: by 1) that 2^(s·factor − maximum) in one fma would miss 1 by powers of two where s is the maximum;
    /// the difference is taken first then.
    /// </summary>
    private const float LargestOffset = 1 << 25;

    private const uint StagingGap = 32;
    private const int FastThreads = 128;
    private const int FastQueries = FastThreads / 2;

    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions()
    {
        // The shares count the branch for huge logits too, some sixty instructions that no ordinary tile executes.
        yield return Fp32<ExactOutput32>("32", 4, 128);
        yield return Fp32<ExactValues64>("64", 3, 168);
        yield return Fp32<ExactValues128>("128", 3, 200);
        yield return Fp16<Bytes64, Keys64, Values32, Plain>("32", 4, 112, 0.073);
        yield return Fp16<Bytes64, Keys64, Values64, Plain>("32_64", 3, 136, 0.098);
        yield return Fp16<Bytes128, Keys64, Values64, Plain>("64", 3, 152, 0.125);
        yield return Fp16<Bytes256, Keys32, Values128, Plain>("128", 2, 184, 0.158);
        yield return Fp16<Bytes64, Keys64, Values32, General>("32_any", 4, 128);
        yield return Fp16<Bytes128, Keys64, Values64, General>("64_any", 3, 168);
        yield return Fp16<Bytes256, Keys32, Values128, General>("128_any", 2, 200);
        yield return Tf32<Bytes128, Keys64, Values32, Plain>("32", 3, 136, 0.107);
        yield return Tf32<Bytes128, Keys64, Values64, Plain>("32_64", 3, 152, 0.136);
        yield return Tf32<Bytes256, Keys64, Values64, Plain>("64", 2, 176, 0.166);
        yield return Tf32<Bytes512, Keys32, Values128, Plain>("128", 2, 224, 0.205);
        yield return Tf32<Bytes128, Keys64, Values32, General>("32_any", 3, 160);
        yield return Tf32<Bytes256, Keys64, Values64, General>("64_any", 2, 184);
        yield return Tf32<Bytes512, Keys32, Values128, General>("128_any", 2, 224);
    }

    private static KernelDefinition Fp32<TOutput>(string name, int minBlocks, int registers)
        where TOutput : struct, IExactOutput
    {
        int width = default(TOutput).Width, threads = ExactThreads(width), queries = threads / 2;
        int sharedBytes = (int)(((queries + (2 * ExactScores.Keys)) * new HeadShape(width, sizeof(float), threads).Pitch) + (queries * ExactScores.Pitch));
        return KernelCatalog.Kernel(
            $"attention_fp32_{name}",
            threads,
            minBlocks,
            sharedBytes,
            registers,
            Exact<TOutput, AsyncCopy>,
            Exact<TOutput, DirectCopy>,
            new MainLoop("FFMA", 0.85));
    }

    private static KernelDefinition Fp16<TQueries, TScores, TOutput, TCase>(string name, int minBlocks, int registers, double? share = null)
        where TQueries : struct, IFastQueries
        where TScores : struct, IFastScores
        where TOutput : struct, IFastOutput
        where TCase : struct, IAttentionCase => KernelCatalog.Kernel(
            $"attention_fp16_{name}",
            FastThreads,
            minBlocks,
            FastBytes<TQueries, TScores, TOutput>(sizeof(ushort)),
            registers,
            Fast<TQueries, TScores, TOutput, HalfUnit, HalfValues, AsyncCopy, TCase>,
            Fast<TQueries, TScores, TOutput, HalfUnitTuring, HalfValues, DirectCopy, TCase>,
            share is double least ? new MainLoop("HMMA", least) : null);

    private static KernelDefinition Tf32<TQueries, TScores, TOutput, TCase>(string name, int minBlocks, int registers, double? share = null)
        where TQueries : struct, IFastQueries
        where TScores : struct, IFastScores
        where TOutput : struct, IFastOutput
        where TCase : struct, IAttentionCase => KernelCatalog.Kernel(
            $"attention_tf32_{name}",
            FastThreads,
            minBlocks,
            FastBytes<TQueries, TScores, TOutput>(sizeof(float)),
            registers,
            Fast<TQueries, TScores, TOutput, Tf32Unit, Tf32Values, AsyncCopy, TCase>,
            null,
            share is double least ? new MainLoop("HMMA", least) : null);

    private static int FastBytes<TQueries, TScores, TOutput>(int elementBytes)
        where TQueries : struct, IFastQueries
        where TScores : struct, IFastScores
        where TOutput : struct, IFastOutput
    {
        HeadShape keys = new(default(TQueries).Bytes / elementBytes, elementBytes, FastThreads), values = new(default(TOutput).Width, elementBytes, FastThreads);
        return (int)(2 * default(TScores).Keys * (keys.Pitch + values.Pitch));
    }

    /// <summary>
    /// fp32 in FFMA: 32 keys a tile, 64 queries a block (32 if heads are wider than 64). A thread has 4×4 logits and 4 × width/8 results. Shared memory: q, a tile of
    /// k, a tile of v, the weights. Rows are an odd multiple of 16 bytes apart, so the vector loads of 8 rows meet no bank conflict. k is fetched while the other
    /// product runs and v likewise: half the memory of two stages.
    /// </summary>
    public static void Exact<TOutput, TCopy>(AttentionArguments a)
        where TOutput : struct, IExactOutput
        where TCopy : struct, ICopy
    {
        TOutput output = default;
        TCopy copy = default;
        int width = output.Width, threads = ExactThreads(width), queries = threads / 2, lane = Threads.Lane;
        HeadShape shape = new(width, sizeof(float), threads);
        uint smem = Shared.Base(), keyTile = smem + ((uint)queries * shape.Pitch), valueTile = keyTile + (ExactScores.Keys * shape.Pitch);
        uint weights = valueTile + (ExactScores.Keys * shape.Pitch) + ((uint)Threads.Warp * AttentionLaunch.WarpQueries * ExactScores.Pitch);
        int firstQuery = Grid.IdxX * queries, warpQuery = firstQuery + (Threads.Warp * AttentionLaunch.WarpQueries);
        bool vectors = a.Vectors != 0;

        Neighbourhood neighbourhood = default;
        neighbourhood.Start(a);
        KeyRange tiles = Tiles(a, neighbourhood, firstQuery, queries, ExactScores.Keys);
        KeyRange neighbours = neighbourhood.Around(warpQuery, Numbers.Min(warpQuery + AttentionLaunch.WarpQueries, a.Queries) - 1);
        HeadRows q = default, k = default, v = default;
        q.Start(shape, Head(a.Q, a.QBatch, a.KeyWidth, sizeof(float)), firstQuery, a.QStride, a.KeyWidth);
        k.Start(shape, Head(a.K, a.KBatch, a.KeyWidth, sizeof(float)), tiles.First * ExactScores.Keys, a.KStride, a.KeyWidth);
        v.Start(shape, Head(a.V, a.VBatch, a.ValueWidth, sizeof(float)), tiles.First * ExactScores.Keys, a.VStride, a.ValueWidth);
        q.Load(copy, shape, smem, queries, a.Queries - firstQuery, vectors);
        k.Load(copy, shape, keyTile, ExactScores.Keys, a.Keys - (tiles.First * ExactScores.Keys), vectors);
        copy.Commit();

        int laneRow = lane >> 3, laneKey = lane & 7;
        uint queryRead = smem + ((uint)((Threads.Warp * AttentionLaunch.WarpQueries) + laneRow) * shape.Pitch);
        uint keyRead = keyTile + ((uint)laneKey * shape.Pitch), valueRead = valueTile + ((uint)laneKey * 16);
        uint weightRead = weights + ((uint)laneRow * ExactScores.Pitch), weightWrite = weightRead + ((uint)laneKey * sizeof(float));
        float factor = a.Scale * Numbers.Log2E;
        F4 highest = new() { X = Lowest, Y = Lowest, Z = Lowest, W = Lowest }, sums = default;
        for (int tile = tiles.First; tile < tiles.End; tile++)
        {
            int key = tile * ExactScores.Keys;
            bool touched = neighbours.Touches(key, ExactScores.Keys), seen = (warpQuery < a.Queries) & (touched | (a.Mask != AttentionMask.Neighbours));
            copy.WaitAll();
            Threads.Barrier();
            v.Load(copy, shape, valueTile, ExactScores.Keys, a.Keys - key, vectors);
            copy.Commit();
            if (seen)
            {
                ExactScores scores = default;
                for (int column = 0; column < a.KeyWidth; column += 8)
                {
                    scores.Multiply8(queryRead + (uint)(column * sizeof(float)), keyRead + (uint)(column * sizeof(float)), shape.Pitch);
                }

                if (key + ExactScores.Keys > a.Keys)
                {
                    scores.Cut(a.Keys - key - laneKey);
                }

                if (touched)
                {
                    scores.Mask(neighbourhood, warpQuery + laneRow, key + laneKey);
                }

                F4 max = scores.Max();
                F4 rescale = new()
                {
                    X = Raise(ref highest.X, max.X, factor),
                    Y = Raise(ref highest.Y, max.Y, factor),
                    Z = Raise(ref highest.Z, max.Z, factor),
                    W = Raise(ref highest.W, max.W, factor),
                };
                F4 offset = new()
                {
                    X = -Scaled(highest.X, factor),
                    Y = -Scaled(highest.Y, factor),
                    Z = -Scaled(highest.Z, factor),
                    W = -Scaled(highest.W, factor),
                };
                if (Numbers.Max(Numbers.Max(Magnitude(offset.X), Magnitude(offset.Y)), Numbers.Max(Magnitude(offset.Z), Magnitude(offset.W))) > LargestOffset)
                {
                    scores.Subtract(highest);
                    offset = default;
                }

                F4 added = scores.Exponentials(factor, offset);
                sums.X = Numbers.Fma(sums.X, rescale.X, added.X);
                sums.Y = Numbers.Fma(sums.Y, rescale.Y, added.Y);
                sums.Z = Numbers.Fma(sums.Z, rescale.Z, added.Z);
                sums.W = Numbers.Fma(sums.W, rescale.W, added.W);
                output.Scale(rescale);
                scores.Store(weightWrite);
            }

            copy.WaitAll();
            Threads.Barrier();
            if (tile + 1 < tiles.End)
            {
                k.Load(copy, shape, keyTile, ExactScores.Keys, a.Keys - key - ExactScores.Keys, vectors);
                copy.Commit();
            }

            if (seen)
            {
                for (int i = 0; i < ExactScores.Keys; i += 4)
                {
                    uint p = weightRead + (uint)(i * sizeof(float));
                    F4 p0 = Shared.Float4(p), p1 = Shared.Float4(p + (4 * ExactScores.Pitch));
                    F4 p2 = Shared.Float4(p + (8 * ExactScores.Pitch)), p3 = Shared.Float4(p + (12 * ExactScores.Pitch));
                    output.Multiply4(p0, p1, p2, p3, valueRead + ((uint)i * shape.Pitch), shape.Pitch);
                }
            }
        }

        output.Scale(new F4
        {
            X = Numbers.Reciprocal(Threads.SumOfEight(sums.X)),
            Y = Numbers.Reciprocal(Threads.SumOfEight(sums.Y)),
            Z = Numbers.Reciprocal(Threads.SumOfEight(sums.Z)),
            W = Numbers.Reciprocal(Threads.SumOfEight(sums.W)),
        });

        // No barrier: other warps' last reads of q and k came before the last tile's second one, and the staged rows do not reach the values and weights that
        // were read behind it.
        uint pitch = (uint)(width * sizeof(float)) + StagingGap, own = smem + ((uint)Threads.Warp * AttentionLaunch.WarpQueries * pitch);
        output.Stage(own + ((uint)laneRow * pitch) + ((uint)laneKey * 16), pitch);
        if (width > 32)
        {
            Threads.WarpBarrier(); // In narrower rows a lane stores what it has staged itself.
        }

        StoreRows(a, width, own, pitch, warpQuery);
    }

    /// <summary>
    /// fp16 or tf32 on tensor cores: 64 queries a block, 4 warps, 64 or 32 keys a tile, two stages of a tile of k and one of v. Rows are an odd multiple of 16 bytes
    /// apart, so that neither ldmatrix nor the tf32 values' 4-byte loads meet bank conflicts and all addresses of a tile are a register and a constant. Queries stay in
    /// registers; they arrive in the second stage's place.
    /// </summary>
    public static void Fast<TQueries, TScores, TOutput, TUnit, TValues, TCopy, TCase>(AttentionArguments a)
        where TQueries : struct, IFastQueries
        where TScores : struct, IFastScores
        where TOutput : struct, IFastOutput
        where TUnit : struct, IMatrixUnit
        where TValues : struct, IValueUnit
        where TCopy : struct, ICopy
        where TCase : struct, IAttentionCase
    {
        if (!default(TCase).Any)
        {
            a.Vectors = 1;
            a.Mask = AttentionMask.None;
        }

        TQueries queries = default;
        TOutput output = default;
        TUnit unit = default;
        TValues values = default;
        TCopy copy = default;
        int keys = default(TScores).Keys, lane = Threads.Lane;
        HeadShape keyShape = new(queries.Bytes / unit.ElementBytes, unit.ElementBytes, FastThreads);
        HeadShape valueShape = new(output.Width, unit.ElementBytes, FastThreads);
        uint smem = Shared.Base(), keyBytes = (uint)keys * keyShape.Pitch, stageBytes = keyBytes + ((uint)keys * valueShape.Pitch);
        int firstQuery = Grid.IdxX * FastQueries, warpQuery = firstQuery + (Threads.Warp * AttentionLaunch.WarpQueries);
        bool vectors = a.Vectors != 0;

        Neighbourhood neighbourhood = default;
        neighbourhood.Start(a);
        KeyRange tiles = Tiles(a, neighbourhood, firstQuery, FastQueries, keys);
        KeyRange neighbours = neighbourhood.Around(warpQuery, Numbers.Min(warpQuery + AttentionLaunch.WarpQueries, a.Queries) - 1);
        HeadRows q = default, k = default, v = default;
        q.Start(keyShape, Head(a.Q, a.QBatch, a.KeyWidth, unit.ElementBytes), firstQuery, a.QStride, a.KeyWidth);
        k.Start(keyShape, Head(a.K, a.KBatch, a.KeyWidth, unit.ElementBytes), tiles.First * keys, a.KStride, a.KeyWidth);
        v.Start(valueShape, Head(a.V, a.VBatch, a.ValueWidth, unit.ElementBytes), tiles.First * keys, a.VStride, a.ValueWidth);
        q.Load(copy, keyShape, smem + stageBytes, FastQueries, a.Queries - firstQuery, vectors);
        copy.Commit();
        int key = tiles.First * keys;
        LoadKeys(copy, keyShape, ref k, valueShape, ref v, smem, keys, a.Keys - key, vectors);
        copy.WaitAllButOne();
        Threads.Barrier();
        queries.Load(smem + stageBytes + ((uint)((Threads.Warp * AttentionLaunch.WarpQueries) + (lane & 15)) * keyShape.Pitch) + ((uint)(lane >> 4) * 16));

        if (warpQuery >= a.Queries)
        {
            // Nothing to compute, only to copy. A branch around the body of the other loop would cost a move for each accumulator and tile.
            for (int tile = tiles.First, stage = 0; tile < tiles.End; tile++)
            {
                stage = (int)stageBytes - stage;
                copy.WaitAll();
                Threads.Barrier();
                key += keys;
                if (tile + 1 < tiles.End)
                {
                    LoadKeys(copy, keyShape, ref k, valueShape, ref v, smem + (uint)stage, keys, a.Keys - key, vectors);
                }
            }

            Threads.Barrier();
            return;
        }

        int laneRow = lane >> 2, laneKey = (lane & 3) * 2;
        uint keyRead = smem + ((uint)((lane & 7) + ((lane >> 4) * 8)) * keyShape.Pitch) + ((uint)((lane >> 3) & 1) * 16);
        uint valueRead = values.Start(smem + keyBytes, lane, valueShape.Pitch);
        float factor = a.Scale * Numbers.Log2E;
        F2 highest = new() { X = Lowest, Y = Lowest }, sums = default;
        uint read = 0;
        for (int tile = tiles.First; tile < tiles.End; tile++)
        {
            uint next = stageBytes - read;
            copy.WaitAll();
            Threads.Barrier();
            if (tile + 1 < tiles.End)
            {
                LoadKeys(copy, keyShape, ref k, valueShape, ref v, smem + next, keys, a.Keys - key - keys, vectors);
            }

            TScores scores = default;
            queries.Multiply(unit, ref scores, keyRead + read, keyShape.Pitch);
            if (key + keys > a.Keys)
            {
                scores.Cut(a.Keys - key - laneKey);
            }

            if (default(TCase).Any && (neighbours.Touches(key, keys) | (a.Mask == AttentionMask.Neighbours)))
            {
                scores.Mask(neighbourhood, key + laneKey, neighbourhood.Of(warpQuery + laneRow), neighbourhood.Of(warpQuery + laneRow + 8));
            }

            F2 max = scores.Max();
            F2 rescale = new() { X = Raise(ref highest.X, Threads.MaxOfFour(max.X), factor), Y = Raise(ref highest.Y, Threads.MaxOfFour(max.Y), factor) };
            F2 offset = new() { X = -Scaled(highest.X, factor), Y = -Scaled(highest.Y, factor) };
            if (Numbers.Max(Magnitude(offset.X), Magnitude(offset.Y)) > LargestOffset)
            {
                scores.Subtract(highest);
                offset = default;
            }

            F2 added = scores.Exponentials(factor, offset);
            sums.X = Numbers.Fma(sums.X, rescale.X, added.X);
            sums.Y = Numbers.Fma(sums.Y, rescale.Y, added.Y);
            output.Scale(rescale);
            scores.MultiplyValues(unit, values, ref output, valueRead + read, valueShape.Pitch);
            read = next;
            key += keys;
        }

        output.Scale(new F2 { X = Numbers.Reciprocal(Threads.SumOfFour(sums.X)), Y = Numbers.Reciprocal(Threads.SumOfFour(sums.Y)) });
        Threads.Barrier();
        uint pitch = (uint)(output.Width * sizeof(float)) + StagingGap, own = smem + ((uint)Threads.Warp * AttentionLaunch.WarpQueries * pitch);
        output.Stage(own + ((uint)laneRow * pitch) + ((uint)laneKey * sizeof(float)), pitch);
        Threads.WarpBarrier();
        StoreRows(a, output.Width, own, pitch, warpQuery);
    }

    private static int ExactThreads(int width) => width > 64 ? 64 : 128;

    /// <summary>Address of the block's head in row 0 of its batch item.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static long Head(long operand, long batchDistance, int width, int elementBytes) =>
        operand + (((Grid.IdxZ * batchDistance) + (Grid.IdxY * width)) * elementBytes);

    /// <summary>Copies the next tile of k and of v, side by side, as one group.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadKeys<TCopy>(
        TCopy copy, HeadShape keyShape, ref HeadRows k, HeadShape valueShape, ref HeadRows v, uint stage, int keys, int keysLeft, bool vectors)
        where TCopy : struct, ICopy
    {
        k.Load(copy, keyShape, stage, keys, keysLeft, vectors);
        v.Load(copy, valueShape, stage + ((uint)keys * keyShape.Pitch), keys, keysLeft, vectors);
        copy.Commit();
    }

    /// <summary>The tiles of keys that the block's queries see any of.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static KeyRange Tiles(AttentionArguments a, Neighbourhood neighbourhood, int firstQuery, int queries, int keys)
    {
        KeyRange range = new() { First = 0, End = a.Keys };
        if (a.Mask == AttentionMask.Neighbours)
        {
            KeyRange neighbours = neighbourhood.Around(firstQuery, Numbers.Min(firstQuery + queries, a.Queries) - 1);
            range.First = neighbours.First;
            range.End = Numbers.Min(neighbours.End, a.Keys);
        }

        return new KeyRange { First = range.First / keys, End = (range.End + keys - 1) / keys };
    }

    /// <summary>Raises a running maximum; returns the factor that what was summed under the old one has to be multiplied by.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Raise(ref float highest, float candidate, float factor)
    {
        float old = highest;
        highest = Numbers.Max(old, candidate);
        return Numbers.Exp2(Scaled(old, factor) - Scaled(highest, factor));
    }

    /// <summary>x·factor, rounded as it is wherever it is used: no contraction into a sum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Scaled(float x, float factor) => Numbers.Fma(x, factor, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Magnitude(float x) => Numbers.Max(x, -x);

    /// <summary>Stores a warp's 16 rows, which its lanes have staged in shared memory of its own, so that neighbouring lanes write neighbouring vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreRows(AttentionArguments a, int width, uint own, uint pitch, int firstQuery)
    {
        int lane = Threads.Lane, lanesPerRow = width / 4, row = lane / lanesPerRow, column = (lane % lanesPerRow) * 4;
        long o = Head(a.O, a.OBatch, a.ValueWidth, Results.Size(a.Type));
        int columns = Numbers.Min(a.ValueWidth - column, 4);
        for (; row < AttentionLaunch.WarpQueries; row += 32 / lanesPerRow)
        {
            int query = firstQuery + row;
            if ((query < a.Queries) & (columns > 0))
            {
                F4 v = Shared.Float4(own + ((uint)row * pitch) + (uint)(column * sizeof(float)));
                Results.Store(o, ((long)query * a.OStride) + column, v, columns, a.Type, a.Vectors != 0);
            }
        }
    }
}

/// <summary>What the arguments of an attention kernel may ask for.</summary>
internal interface IAttentionCase
{
    /// <summary>Whether it is anything, or only vectors without a mask.</summary>
    bool Any { get; }
}

/// <summary>Vectors and no mask: nothing else is in the main loop.</summary>
internal struct Plain : IAttentionCase
{
    /// <inheritdoc/>
    public readonly bool Any => false;
}

/// <summary>Any alignment, any mask, by branches that are uniform over the grid.</summary>
internal struct General : IAttentionCase
{
    /// <inheritdoc/>
    public readonly bool Any => true;
}
