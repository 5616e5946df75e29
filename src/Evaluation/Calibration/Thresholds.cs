using KernelAD.Evaluation.Metrics;

namespace KernelAD.Evaluation.Calibration;

/// <summary>How a quantile between two scores is chosen; the names and definitions of NumPy.</summary>
public enum QuantileRule
{
    /// <summary>Linear interpolation between the two.</summary>
    Linear,

    /// <summary>The higher one.</summary>
    Higher,

    /// <summary>The lower one.</summary>
    Lower,

    /// <summary>The nearer one; of two equally near ones that of the even index.</summary>
    Nearest,
}

/// <summary>
/// Decision thresholds from scores; a score at or above a threshold is anomalous. In what follows g_(1) ≤ … ≤ g_(k) are the scores of good pictures that were
/// not used in training. All of it holds for image scores, and for the highest map value of each picture, which gives a pixel threshold: one bad pixel makes a
/// bad picture.
/// </summary>
public static class Thresholds
{
    /// <summary>The next float above g_(k): no good picture of the calibration is rejected. One dirty picture ruins it.</summary>
    /// <exception cref="CalibrationException">There are no scores.</exception>
    public static double Max(ReadOnlySpan<float> good) => MathF.BitIncrement(Sorted(good)[^1]);

    /// <summary>
    /// The next float above g_(⌈(k+1)(1−α)⌉): if good pictures to come are like those of the calibration (exchangeable), at most the share α of them is
    /// rejected, whatever the distribution of scores.
    /// </summary>
    /// <param name="good">Scores of good pictures.</param>
    /// <param name="alpha">Share of false rejects, between 0 and 1.</param>
    /// <exception cref="CalibrationException">There are fewer scores than <see cref="NeededFor"/> says.</exception>
    public static double Conformal(ReadOnlySpan<float> good, double alpha)
    {
        int needed = NeededFor(alpha);
        if (good.Length < needed)
        {
            throw new CalibrationException($"{good.Length} good pictures are too few to promise at most {alpha:P4} false rejects: at least {needed} are needed");
        }

        // In decimal, since 0.01 · 100 must be 1.
        int rank = good.Length + 1 - (int)decimal.Floor((good.Length + 1) * (decimal)alpha);
        return MathF.BitIncrement(Sorted(good)[rank - 1]);
    }

    /// <summary>How many good pictures <see cref="Conformal"/> needs: the least k with ⌈(k+1)(1−α)⌉ ≤ k, that is ⌈1/α⌉ − 1.</summary>
    public static int NeededFor(double alpha)
    {
        if (!(alpha >= 1e-6 && alpha < 1))
        {
            throw new ArgumentOutOfRangeException(nameof(alpha), alpha, "the share of false rejects lies between 0.000001 and 1");
        }

        return (int)decimal.Ceiling(1 / (decimal)alpha) - 1;
    }

    /// <summary>The quantile q of the good scores at position (k − 1) q, counted from 0.</summary>
    /// <param name="good">Scores of good pictures.</param>
    /// <param name="q">The quantile, 0 … 1.</param>
    /// <param name="rule">What is taken between two scores.</param>
    /// <exception cref="CalibrationException">There are no scores.</exception>
    public static double Quantile(ReadOnlySpan<float> good, double q, QuantileRule rule = QuantileRule.Linear)
    {
        if (!(q >= 0 && q <= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(q), q, "a quantile lies between 0 and 1");
        }

        float[] sorted = Sorted(good);
        double position = (sorted.Length - 1) * q;
        int lower = (int)Math.Floor(position), higher = (int)Math.Ceiling(position);
        return rule switch
        {
            QuantileRule.Linear => sorted[lower] + ((position - lower) * ((double)sorted[higher] - sorted[lower])),
            QuantileRule.Higher => sorted[higher],
            QuantileRule.Lower => sorted[lower],
            QuantileRule.Nearest => sorted[(int)Math.Round(position, MidpointRounding.ToEven)],
            _ => throw new ArgumentOutOfRangeException(nameof(rule), rule, "unknown rule"),
        };
    }

    /// <summary>Mean plus <paramref name="sigmas"/> sample standard deviations (divisor k − 1). Assumes a bell shape, which scores rarely have.</summary>
    /// <exception cref="CalibrationException">There are fewer than two scores.</exception>
    public static double Sigma(ReadOnlySpan<float> good, double sigmas)
    {
        if (good.Length < 2)
        {
            throw new CalibrationException($"{good.Length} good pictures have no standard deviation: at least 2 are needed");
        }

        double mean = 0, squares = 0;
        foreach (float score in good)
        {
            mean += score / (double)good.Length;
        }

        foreach (float score in good)
        {
            squares += (score - mean) * (score - mean);
        }

        return mean + (sigmas * Math.Sqrt(squares / (good.Length - 1)));
    }

    /// <summary>
    /// The threshold of the highest F1, halfway (in double) between the score that reaches it and the next lower one, so that no rounding of another device
    /// changes a decision.
    /// </summary>
    /// <param name="good">Scores of good pictures; may be none.</param>
    /// <param name="anomalous">Scores of anomalous pictures.</param>
    /// <returns>The threshold, and the F1 that "score ≥ threshold" has on these scores.</returns>
    /// <exception cref="CalibrationException">There is no anomalous picture.</exception>
    public static (double Threshold, double F1) HighestF1(ReadOnlySpan<float> good, ReadOnlySpan<float> anomalous)
    {
        if (anomalous.Length == 0)
        {
            throw new CalibrationException("F1 needs anomalous pictures, and there are none: label some, or choose another method");
        }

        ImageScores scores = new();
        foreach (float score in good)
        {
            scores.Add(anomalous: false, score);
        }

        foreach (float score in anomalous)
        {
            scores.Add(anomalous: true, score);
        }

        Ranking ranking = scores.Rank();
        HighestF1 best = new(ranking.Positives);
        foreach (CurveStep step in ranking)
        {
            best.Add(step);
        }

        return (ranking.NextBelow(best.At) is float below ? ((double)best.At + below) / 2 : best.At, best.Value);
    }

    /// <summary>The median: the middle score, or the mean of the two middle ones.</summary>
    /// <exception cref="CalibrationException">There are no scores.</exception>
    public static double Median(ReadOnlySpan<float> scores) => Quantile(scores, 0.5);

    private static float[] Sorted(ReadOnlySpan<float> scores)
    {
        if (scores.Length == 0)
        {
            throw new CalibrationException("no good pictures: a threshold needs some");
        }

        float[] sorted = scores.ToArray();
        Array.Sort(sorted);
        return sorted;
    }
}
