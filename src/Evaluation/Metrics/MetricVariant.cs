namespace KernelAD.Evaluation.Metrics;

/// <summary>Whose definitions are used.</summary>
public enum MetricVariant
{
    /// <summary>Exact, by the definitions of scikit-learn (AUROC, AP, F1-max) and MVTec (AUPRO).</summary>
    Default,

    /// <summary>
    /// As the evaluator of ADer (https://github.com/zhangzjn/ADer) computes them on exact scores (its <c>use_adeval = False</c>): to compare with its tables.
    /// </summary>
    Ader,
}

/// <summary>The names of <see cref="MetricVariant"/> on command lines and in reports.</summary>
public static class MetricVariants
{
    /// <summary>All names, in the order of the enumeration.</summary>
    public static IReadOnlyList<string> Names { get; } = ["default", "ader"];

    /// <summary>A variant's name.</summary>
    public static string Name(this MetricVariant variant) => Names[(int)variant];

    /// <summary>The variant of a name; null if there is none of that name.</summary>
    public static MetricVariant? Parse(string name)
    {
        for (int i = 0; i < Names.Count; i++)
        {
            if (Names[i] == name)
            {
                return (MetricVariant)i;
            }
        }

        return null;
    }
}
