namespace KernelAD.Evaluation.Metrics;

/// <summary>The mean of a metric over categories, each counting the same, however many images it has.</summary>
/// <param name="Name">The metric.</param>
/// <param name="Value">The mean over the categories in which it is defined.</param>
/// <param name="Skipped">Number of categories in which it is not.</param>
public readonly record struct CategoryMean(string Name, MetricValue Value, int Skipped)
{
    /// <summary>The means of all metrics that are shares; thresholds and counts have none.</summary>
    /// <param name="categories">The results of one variant, at least one.</param>
    public static IReadOnlyList<CategoryMean> Of(IReadOnlyList<MetricsResult> categories)
    {
        ArgumentNullException.ThrowIfNull(categories);
        return [.. categories.SelectMany(c => c.Values.Select(v => v.Name)).Distinct().Where(IsShare).Select(name => Of(name, categories))];
    }

    /// <summary>Whether values of different categories can be compared.</summary>
    private static bool IsShare(string name) =>
        !name.EndsWith("_at", StringComparison.Ordinal) && !name.EndsWith("_threshold", StringComparison.Ordinal) && !name.StartsWith("regions_", StringComparison.Ordinal);

    private static CategoryMean Of(string name, IReadOnlyList<MetricsResult> categories)
    {
        double[] values = [.. categories.SelectMany(c => c.Values).Where(v => v.Name == name && v.Value.IsDefined).Select(v => v.Value.Value)];
        MetricValue mean = values.Length > 0 ? new MetricValue(values.Average()) : MetricValue.Undefined("undefined in every category");
        return new CategoryMean(name, mean, categories.Count - values.Length);
    }
}
