namespace KernelAD.Evaluation.Metrics;

/// <summary>Consecutive anomalous pixels of one row.</summary>
/// <param name="Start">Index of the first pixel, row-major.</param>
/// <param name="Length">Number of pixels.</param>
internal readonly record struct MaskRun(int Start, int Length);

/// <summary>
/// The anomalous regions of masks: components that are connected horizontally, vertically or diagonally (8-connected, as MVTec's functions, ADer and anomalib
/// have it). Works on runs of rows rather than on pixels and keeps its memory for the next mask.
/// </summary>
internal sealed class MaskRegions
{
    private readonly List<MaskRun> _runs = [];
    private readonly List<int> _parents = [];
    private readonly List<int> _areas = [];

    /// <summary>The runs of the mask examined last, in row-major order.</summary>
    public IReadOnlyList<MaskRun> Runs => _runs;

    /// <summary>Number of regions in the mask examined last.</summary>
    public int Count { get; private set; }

    /// <summary>Number of pixels in the region that a run belongs to.</summary>
    public int AreaOf(int run) => _areas[Root(run)];

    /// <summary>Examines a mask.</summary>
    /// <param name="mask">height · width values, row-major; those above <paramref name="threshold"/> are anomalous.</param>
    /// <param name="height">Number of rows.</param>
    /// <param name="width">Pixels in a row.</param>
    /// <param name="threshold">The highest value of an anomaly-free pixel.</param>
    public void Find(ReadOnlySpan<byte> mask, int height, int width, byte threshold)
    {
        _runs.Clear();
        _parents.Clear();
        _areas.Clear();
        int above = 0;
        for (int y = 0; y < height; y++)
        {
            int first = _runs.Count;
            FindRuns(mask.Slice(y * width, width), y * width, threshold);
            Connect(above, first, width);
            above = first;
        }

        SumAreas();
    }

    private void FindRuns(ReadOnlySpan<byte> row, int offset, byte threshold)
    {
        for (int x = 0; x < row.Length;)
        {
            int gap = row[x..].IndexOfAnyExceptInRange((byte)0, threshold);
            if (gap < 0)
            {
                return;
            }

            x += gap;
            int length = row[x..].IndexOfAnyInRange((byte)0, threshold);
            length = length < 0 ? row.Length - x : length;
            _parents.Add(_runs.Count);
            _runs.Add(new MaskRun(offset + x, length));
            x += length;
        }
    }

    /// <summary>Joins the runs of a row with those of the row above that touch them, corners included.</summary>
    private void Connect(int above, int first, int width)
    {
        int upper = above;
        for (int lower = first; lower < _runs.Count; lower++)
        {
            int start = _runs[lower].Start - width;
            int end = start + _runs[lower].Length;
            while (upper < first && _runs[upper].Start + _runs[upper].Length < start)
            {
                upper++;
            }

            // The last run that touches may touch the next one of this row too.
            for (int touching = upper; touching < first && _runs[touching].Start <= end; touching++)
            {
                Join(touching, lower);
            }
        }
    }

    private void SumAreas()
    {
        Count = 0;
        for (int run = 0; run < _runs.Count; run++)
        {
            _areas.Add(0);
            int root = Root(run);
            Count += root == run ? 1 : 0;
            _areas[root] += _runs[run].Length;
        }
    }

    /// <summary>The earlier root becomes the parent, so that a region's root is its first run.</summary>
    private void Join(int a, int b)
    {
        int rootA = Root(a);
        int rootB = Root(b);
        _parents[Math.Max(rootA, rootB)] = Math.Min(rootA, rootB);
    }

    private int Root(int run)
    {
        while (_parents[run] != run)
        {
            run = _parents[run] = _parents[_parents[run]];
        }

        return run;
    }
}
