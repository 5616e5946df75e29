namespace KernelAD.Emulator;

/// <summary>
/// What a launch did, under Nsight Compute's metric names where there is one. Instructions are PTX instructions after copies are propagated and dead code is
/// dropped, as NVIDIA's assembler does before anything else; a machine instruction's count may differ where one PTX instruction becomes several or several
/// become one.
/// </summary>
public sealed record LaunchCounters
{
    /// <summary>Counters of nothing.</summary>
    public static LaunchCounters None { get; } = new(new SortedDictionary<string, long>(StringComparer.Ordinal));

    private readonly SortedDictionary<string, long> _values;

    internal LaunchCounters(SortedDictionary<string, long> values) => _values = values;

    /// <summary>Every counter by its name; see <see cref="CounterNames"/>. A counter that is not there is 0.</summary>
    public IReadOnlyDictionary<string, long> Values => _values;

    /// <summary>A counter's value.</summary>
    /// <param name="name">Its name, one of <see cref="CounterNames"/>.</param>
    public long this[string name] => _values.GetValueOrDefault(name);

    /// <summary>The sum of two launches' counters.</summary>
    /// <param name="left">One launch.</param>
    /// <param name="right">Another one.</param>
    public static LaunchCounters operator +(LaunchCounters left, LaunchCounters right) => left.Add(right);

    /// <summary>The sum of two launches' counters.</summary>
    /// <param name="other">The other launch.</param>
    public LaunchCounters Add(LaunchCounters other)
    {
        SortedDictionary<string, long> sum = new(_values, StringComparer.Ordinal);
        foreach ((string name, long value) in other._values)
        {
            sum[name] = sum.GetValueOrDefault(name) + value;
        }

        return new(sum);
    }

    /// <summary>Whether every counter is the same.</summary>
    /// <param name="other">The other launch.</param>
    public bool Equals(LaunchCounters? other) => other is not null && _values.SequenceEqual(other._values);

    /// <inheritdoc/>
    public override int GetHashCode() => _values.Aggregate(0, (hash, pair) => HashCode.Combine(hash, pair.Key, pair.Value));
}
