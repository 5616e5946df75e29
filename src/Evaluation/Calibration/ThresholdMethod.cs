namespace KernelAD.Evaluation.Calibration;

/// <summary>Ways to choose a threshold.</summary>
public enum ThresholdMethodKind
{
    /// <summary><see cref="Thresholds.Conformal"/>.</summary>
    Conformal,

    /// <summary><see cref="Thresholds.Max"/>.</summary>
    Max,

    /// <summary><see cref="Thresholds.Quantile"/>.</summary>
    Quantile,

    /// <summary><see cref="Thresholds.Sigma"/>.</summary>
    Sigma,

    /// <summary><see cref="Thresholds.HighestF1"/>.</summary>
    F1,
}

/// <summary>A way to choose a threshold, with its parameter.</summary>
/// <param name="Kind">The way.</param>
/// <param name="Parameter">Share of false rejects, quantile, or number of standard deviations; null for methods that have none.</param>
/// <param name="Rule">What a quantile between two scores is.</param>
public sealed record ThresholdMethod(ThresholdMethodKind Kind, double? Parameter = null, QuantileRule Rule = QuantileRule.Linear)
{
    /// <summary>At most one good picture in a hundred is rejected.</summary>
    public static ThresholdMethod Default { get; } = new(ThresholdMethodKind.Conformal, 0.01);

    /// <summary>The name that is stored and printed.</summary>
    public string Name => Kind switch
    {
        ThresholdMethodKind.Conformal => "conformal",
        ThresholdMethodKind.Max => "max",
        ThresholdMethodKind.Quantile => $"quantile-{Rule.ToString().ToLowerInvariant()}",
        ThresholdMethodKind.Sigma => "sigma",
        ThresholdMethodKind.F1 => "f1",
        _ => throw new InvalidOperationException($"unknown method {Kind}"),
    };

    /// <summary>The threshold for these scores.</summary>
    /// <param name="good">Scores of good pictures.</param>
    /// <param name="anomalous">Scores of anomalous pictures; only F1 looks at them.</param>
    /// <exception cref="CalibrationException">There are too few scores.</exception>
    public double Find(ReadOnlySpan<float> good, ReadOnlySpan<float> anomalous) => Kind switch
    {
        ThresholdMethodKind.Conformal => Thresholds.Conformal(good, Required()),
        ThresholdMethodKind.Max => Thresholds.Max(good),
        ThresholdMethodKind.Quantile => Thresholds.Quantile(good, Required(), Rule),
        ThresholdMethodKind.Sigma => Thresholds.Sigma(good, Required()),
        ThresholdMethodKind.F1 => Thresholds.HighestF1(good, anomalous).Threshold,
        _ => throw new InvalidOperationException($"unknown method {Kind}"),
    };

    private double Required() => Parameter ?? throw new ArgumentException($"the method {Name} needs a parameter");
}
