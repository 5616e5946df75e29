namespace KernelAD.Emulator;

/// <summary>
/// Where one or several registers that share a place are needed: half-open segments in ascending order. Operation i reads at 2i and writes at 2i + 1.
/// </summary>
internal sealed class LiveRange
{
    private List<(int From, int To)> _segments = [];

    /// <summary>The segments.</summary>
    public IReadOnlyList<(int From, int To)> Segments => _segments;

    /// <summary>Adds a segment that ends not behind the first one's start. Segments are found from the end of the kernel to its start.</summary>
    /// <param name="from">Where it begins.</param>
    /// <param name="to">Behind its end.</param>
    public void Prepend(int from, int to)
    {
        if (_segments.Count > 0 && _segments[^1].From <= to)
        {
            _segments[^1] = (from, _segments[^1].To);
        }
        else
        {
            _segments.Add((from, to));
        }
    }

    /// <summary>Brings the segments into order once all are there.</summary>
    public void Complete() => _segments.Reverse();

    /// <summary>Whether both are needed somewhere at a time.</summary>
    /// <param name="other">The other range.</param>
    public bool Overlaps(LiveRange other)
    {
        (List<(int From, int To)> few, List<(int From, int To)> many) = _segments.Count < other._segments.Count
            ? (_segments, other._segments) : (other._segments, _segments);
        foreach ((int from, int to) in few)
        {
            int low = 0; // Becomes the first segment of the other range that ends behind this one's start.
            int high = many.Count;
            while (low < high)
            {
                int middle = (low + high) >>> 1;
                (low, high) = many[middle].To > from ? (low, middle) : (middle + 1, high);
            }

            if (low < many.Count && many[low].From < to)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Takes another range's segments in. The two must not overlap.</summary>
    /// <param name="other">The other range.</param>
    public void Add(LiveRange other)
    {
        List<(int From, int To)> merged = new(_segments.Count + other._segments.Count);
        int mine = 0;
        int theirs = 0;
        while (mine < _segments.Count || theirs < other._segments.Count)
        {
            bool takesMine = theirs == other._segments.Count || (mine < _segments.Count && _segments[mine].From < other._segments[theirs].From);
            (int from, int to) = takesMine ? _segments[mine++] : other._segments[theirs++];
            if (merged.Count > 0 && merged[^1].To == from)
            {
                merged[^1] = (merged[^1].From, to);
            }
            else
            {
                merged.Add((from, to));
            }
        }

        _segments = merged;
    }
}
