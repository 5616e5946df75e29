using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels.Tiles;

/// <summary>A block's tile of an exact product and a thread's share of it, in registers.</summary>
internal interface IExactTile
{
    /// <summary>Rows, and columns, of the block's tile.</summary>
    int Side { get; }

    /// <summary>Threads of the block.</summary>
    int Threads { get; }

    /// <summary>Warps side by side along the columns; each is 4 lanes high and 8 wide.</summary>
    int WarpsAcross { get; }

    /// <summary>Adds sixteen k-rows of both operands.</summary>
    /// <param name="x">Address of the thread's first four rows' values at k = 0.</param>
    /// <param name="w">Address of the thread's first four columns' values at k = 0.</param>
    void Multiply(uint x, uint w);

    /// <summary>Puts half of the results, 0 or 1, into the thread's own shared memory: 16 bytes every 16·<see cref="Threads"/>.</summary>
    void Stage(uint target, int half);

    /// <summary>Vectors of four results in a half.</summary>
    int HalfCount { get; }

    /// <summary>Row within the tile of a staged vector, relative to 4·(lane row).</summary>
    int StagedRow(int half, int index);

    /// <summary>Column within the tile of a staged vector, relative to 4·(lane column).</summary>
    int StagedColumn(int half, int index);
}

/// <summary>128×128, 256 threads, 8×8 sums each: FFMA against LDS is 16 to 1.</summary>
internal struct Exact128 : IExactTile
{
    private const uint KRow = (128 + 4 + 128) * sizeof(float);
    private Row _r0;
    private Row _r1;
    private Row _r2;
    private Row _r3;
    private Row _r4;
    private Row _r5;
    private Row _r6;
    private Row _r7;

    /// <inheritdoc/>
    public readonly int Side => 128;

    /// <inheritdoc/>
    public readonly int Threads => 256;

    /// <inheritdoc/>
    public readonly int WarpsAcross => 2;

    /// <inheritdoc/>
    public readonly int HalfCount => 8;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply(uint x, uint w)
    {
        // Written out: ptxas leaves a loop around this much rolled.
        Step(x, w);
        Step(x + KRow, w + KRow);
        Step(x + (2 * KRow), w + (2 * KRow));
        Step(x + (3 * KRow), w + (3 * KRow));
        Step(x + (4 * KRow), w + (4 * KRow));
        Step(x + (5 * KRow), w + (5 * KRow));
        Step(x + (6 * KRow), w + (6 * KRow));
        Step(x + (7 * KRow), w + (7 * KRow));
        Step(x + (8 * KRow), w + (8 * KRow));
        Step(x + (9 * KRow), w + (9 * KRow));
        Step(x + (10 * KRow), w + (10 * KRow));
        Step(x + (11 * KRow), w + (11 * KRow));
        Step(x + (12 * KRow), w + (12 * KRow));
        Step(x + (13 * KRow), w + (13 * KRow));
        Step(x + (14 * KRow), w + (14 * KRow));
        Step(x + (15 * KRow), w + (15 * KRow));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Stage(uint target, int half)
    {
        if (half == 0)
        {
            Stage(target, _r0, _r1, _r2, _r3);
        }
        else
        {
            Stage(target, _r4, _r5, _r6, _r7);
        }
    }

    /// <inheritdoc/>
    public readonly int StagedRow(int half, int index) => (half * 64) + (index >> 1);

    /// <inheritdoc/>
    public readonly int StagedColumn(int half, int index) => (index & 1) * 64;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Stage(uint target, Row a, Row b, Row c, Row d)
    {
        const uint Step = 256 * 16;
        Shared.Store4(target, a.Left);
        Shared.Store4(target + Step, a.Right);
        Shared.Store4(target + (2 * Step), b.Left);
        Shared.Store4(target + (3 * Step), b.Right);
        Shared.Store4(target + (4 * Step), c.Left);
        Shared.Store4(target + (5 * Step), c.Right);
        Shared.Store4(target + (6 * Step), d.Left);
        Shared.Store4(target + (7 * Step), d.Right);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Step(uint x, uint w)
    {
        F4 low = Shared.Float4(x), high = Shared.Float4(x + (64 * sizeof(float)));
        F4 left = Shared.Float4(w), right = Shared.Float4(w + (64 * sizeof(float)));
        _r0.Add(low.X, left, right);
        _r1.Add(low.Y, left, right);
        _r2.Add(low.Z, left, right);
        _r3.Add(low.W, left, right);
        _r4.Add(high.X, left, right);
        _r5.Add(high.Y, left, right);
        _r6.Add(high.Z, left, right);
        _r7.Add(high.W, left, right);
    }

    private struct Row
    {
        public F4 Left;
        public F4 Right;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Add(float x, F4 left, F4 right)
        {
            ExactSums.Add(ref Left, x, left);
            ExactSums.Add(ref Right, x, right);
        }
    }
}

/// <summary>64×64, 128 threads, 8×4 sums each: for matrices of few rows.</summary>
internal struct Exact64 : IExactTile
{
    private const uint KRow = (64 + 4 + 64) * sizeof(float);
    private F4 _r0;
    private F4 _r1;
    private F4 _r2;
    private F4 _r3;
    private F4 _r4;
    private F4 _r5;
    private F4 _r6;
    private F4 _r7;

    /// <inheritdoc/>
    public readonly int Side => 64;

    /// <inheritdoc/>
    public readonly int Threads => 128;

    /// <inheritdoc/>
    public readonly int WarpsAcross => 2;

    /// <inheritdoc/>
    public readonly int HalfCount => 4;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply(uint x, uint w)
    {
        Step(x, w);
        Step(x + KRow, w + KRow);
        Step(x + (2 * KRow), w + (2 * KRow));
        Step(x + (3 * KRow), w + (3 * KRow));
        Step(x + (4 * KRow), w + (4 * KRow));
        Step(x + (5 * KRow), w + (5 * KRow));
        Step(x + (6 * KRow), w + (6 * KRow));
        Step(x + (7 * KRow), w + (7 * KRow));
        Step(x + (8 * KRow), w + (8 * KRow));
        Step(x + (9 * KRow), w + (9 * KRow));
        Step(x + (10 * KRow), w + (10 * KRow));
        Step(x + (11 * KRow), w + (11 * KRow));
        Step(x + (12 * KRow), w + (12 * KRow));
        Step(x + (13 * KRow), w + (13 * KRow));
        Step(x + (14 * KRow), w + (14 * KRow));
        Step(x + (15 * KRow), w + (15 * KRow));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Stage(uint target, int half)
    {
        if (half == 0)
        {
            Stage(target, _r0, _r1, _r2, _r3);
        }
        else
        {
            Stage(target, _r4, _r5, _r6, _r7);
        }
    }

    /// <inheritdoc/>
    public readonly int StagedRow(int half, int index) => (half * 32) + index;

    /// <inheritdoc/>
    public readonly int StagedColumn(int half, int index) => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Stage(uint target, F4 a, F4 b, F4 c, F4 d)
    {
        const uint Step = 128 * 16;
        Shared.Store4(target, a);
        Shared.Store4(target + Step, b);
        Shared.Store4(target + (2 * Step), c);
        Shared.Store4(target + (3 * Step), d);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Step(uint x, uint w)
    {
        F4 low = Shared.Float4(x), high = Shared.Float4(x + (32 * sizeof(float))), columns = Shared.Float4(w);
        ExactSums.Add(ref _r0, low.X, columns);
        ExactSums.Add(ref _r1, low.Y, columns);
        ExactSums.Add(ref _r2, low.Z, columns);
        ExactSums.Add(ref _r3, low.W, columns);
        ExactSums.Add(ref _r4, high.X, columns);
        ExactSums.Add(ref _r5, high.Y, columns);
        ExactSums.Add(ref _r6, high.Z, columns);
        ExactSums.Add(ref _r7, high.W, columns);
    }
}

/// <summary>Sums in FFMA.</summary>
internal static class ExactSums
{
    /// <summary>sums += x · w.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(ref F4 sums, float x, F4 w)
    {
        sums.X = Numbers.Fma(x, w.X, sums.X);
        sums.Y = Numbers.Fma(x, w.Y, sums.Y);
        sums.Z = Numbers.Fma(x, w.Z, sums.Z);
        sums.W = Numbers.Fma(x, w.W, sums.W);
    }
}
