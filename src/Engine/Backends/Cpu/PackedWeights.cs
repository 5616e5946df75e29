using System.Runtime.CompilerServices;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// The weight of a linear layer, [N, K] row-major as PyTorch has it, repacked once for <see cref="Gemm"/> into panels
/// [⌈N / PanelColumns⌉][K][PanelColumns] with columns beyond N zero, and its bias, padded likewise. Immutable, shared by all plans.
/// </summary>
internal sealed unsafe class PackedWeights
{
    private readonly float* _panels;

    /// <summary>Packs a weight that is read panel by panel, so that its raw form never leaves the second-level cache.</summary>
    /// <param name="memory">Where the panels go; they live as long as it does.</param>
    /// <param name="n">Output features.</param>
    /// <param name="k">Input features.</param>
    /// <param name="bias">N values, or empty for a layer without bias, which is one of zeros.</param>
    /// <param name="readRows">Reads consecutive rows of the weight, [N, K] row-major, from the given row on.</param>
    /// <exception cref="ArgumentException">The bias does not fit the dimensions.</exception>
    public PackedWeights(MemoryPool memory, int n, int k, ReadOnlySpan<float> bias, RowReader readRows)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(n);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(k);
        if (bias.Length != 0 && bias.Length != n)
            throw new ArgumentException($"The bias has {bias.Length} elements instead of {n}.", nameof(bias));

        N = n;
        K = k;
        int columns = SimdTier.PanelColumns;
        Panels = Split.Most(n, columns);
        long padded = (long)Panels * columns;
        _panels = (float*)memory.Take(padded * (k + 1) * sizeof(float));
        using AlignedMemory rows = new((long)columns * k * sizeof(float));
        for (int p = 0; p < Panels; p++)
        {
            int count = Math.Min(columns, n - (p * columns));
            readRows(p * columns, new Span<float>(rows.Pointer, count * k));
            PackPanel((float*)rows.Pointer, k, count, k, Panel(p));
        }

        Bias = _panels + (padded * k);
        Span<float> target = new(Bias, (int)padded);
        bias.CopyTo(target);
        target[bias.Length..].Clear();
    }

    /// <summary>Reads rows of a matrix.</summary>
    /// <param name="firstRow">The first row.</param>
    /// <param name="rows">Receives as many whole rows as fit.</param>
    public delegate void RowReader(int firstRow, Span<float> rows);

    /// <summary>Output features.</summary>
    public int N { get; }

    /// <summary>Input features.</summary>
    public int K { get; }

    /// <summary>Number of panels.</summary>
    public int Panels { get; }

    /// <summary>Bias, zero-padded to whole panels.</summary>
    public float* Bias { get; }

    /// <summary>Address of a panel, [K][PanelColumns].</summary>
    public float* Panel(int index) => _panels + ((long)index * K * SimdTier.PanelColumns);

    /// <summary>
    /// Transposes <paramref name="count"/> rows (at most PanelColumns) of <paramref name="k"/> floats into a panel [k][PanelColumns]; the columns
    /// that have no row become 0.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackPanel(float* source, long rowStride, int count, int k, float* panel)
    {
        int columns = SimdTier.PanelColumns;
        if (count < columns)
            new Span<float>(panel, k * columns).Clear();

        // Sixteen values of k at a time: a cache line of each row, and a part of the panel that stays in the first-level cache.
        for (int begin = 0; begin < k; begin += RowTiles.BlockColumns)
        {
            int end = Math.Min(begin + RowTiles.BlockColumns, k);
            int row = 0;
            for (; row + 4 <= count; row += 4)
            {
                float* from = source + (row * rowStride);
                int i = begin;
                for (; i + 4 <= end; i += 4)
                    Transpose.Block4x4(from + i, rowStride, panel + ((long)i * columns) + row, columns);
                for (; i < end; i++)
                {
                    for (int r = 0; r < 4; r++)
                        panel[((long)i * columns) + row + r] = from[(r * rowStride) + i];
                }
            }

            for (; row < count; row++)
            {
                for (int i = begin; i < end; i++)
                    panel[((long)i * columns) + row] = source[(row * rowStride) + i];
            }
        }
    }
}
