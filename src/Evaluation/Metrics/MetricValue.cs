namespace KernelAD.Evaluation.Metrics;

/// <summary>A metric: a number, or the reason why there is none. Undefined is NaN, never 0: a category without defects says nothing about a detector.</summary>
/// <param name="Value">The value; NaN if undefined.</param>
/// <param name="Reason">Why the metric is undefined; null if it is defined.</param>
public readonly record struct MetricValue(double Value, string? Reason = null)
{
    /// <summary>Whether there is a value.</summary>
    public bool IsDefined => Reason is null;

    /// <summary>A metric without a value.</summary>
    /// <param name="reason">Why, in a few words: "no anomalous pixel".</param>
    public static MetricValue Undefined(string reason) => new(double.NaN, reason);

    /// <summary>The same metric without a value if <paramref name="condition"/> holds.</summary>
    internal MetricValue UndefinedIf(bool condition, string reason) => condition ? Undefined(reason) : this;
}

/// <summary>A metric with the name it has in files and tables.</summary>
/// <param name="Name">For instance <c>pixel_auroc</c>.</param>
/// <param name="Value">Its value.</param>
public readonly record struct NamedMetric(string Name, MetricValue Value);
