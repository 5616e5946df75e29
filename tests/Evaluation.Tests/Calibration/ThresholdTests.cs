using System.Globalization;
using System.Text.Json;
using KernelAD.Evaluation.Calibration;
using KernelAD.Weights;

namespace KernelAD.Evaluation.Tests.Calibration;

public sealed class ThresholdTests
{
    private const double Tolerance = 1e-6;
    private float[] _good = [];
    private float[] _anomalous = [];
    private JsonElement _expected;

    [OneTimeSetUp]
    public void ReadTheGoldenCase()
    {
        using SafetensorsFile file = SafetensorsFile.Open(Fixture.File("metrics/calibration/io.safetensors"));
        float[] scores = new float[file.Entries["scores"].Shape.Count];
        byte[] labels = new byte[scores.Length];
        file.ReadFloat32("scores", scores);
        file.Read("labels", labels);
        _good = [.. scores.Where((_, i) => labels[i] == 0)];
        _anomalous = [.. scores.Where((_, i) => labels[i] == 1)];
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(Fixture.File("metrics/calibration/case.json")));
        _expected = json.RootElement.GetProperty("expected").Clone();
    }

    [Test]
    public void Quantiles_are_those_of_numpy(
        [Values("0.9", "0.95", "0.99", "0.995", "1.0")] string q, [Values(QuantileRule.Linear, QuantileRule.Higher, QuantileRule.Lower, QuantileRule.Nearest)] QuantileRule rule)
    {
        double expected = _expected.GetProperty("numpy.quantile on the good scores").GetProperty(q).GetProperty(rule.ToString().ToLowerInvariant()).GetDouble();
        Assert.That(Thresholds.Quantile(_good, double.Parse(q, CultureInfo.InvariantCulture), rule), Is.EqualTo(expected).Within(Tolerance));
    }

    [TestCase("0.9")]
    [TestCase("0.95")]
    public void Conformal_is_the_next_float_above_the_golden_score(string p)
    {
        double expected = Conformal(p).GetDouble();
        double found = Thresholds.Conformal(_good, 1 - double.Parse(p, CultureInfo.InvariantCulture));
        Assert.That(found, Is.EqualTo((double)MathF.BitIncrement((float)expected)));
    }

    [TestCase("0.99", 99)]
    [TestCase("0.995", 199)]
    public void Too_few_scores_are_an_error_that_says_how_many_are_needed(string p, int needed)
    {
        Assert.That(Conformal(p).GetString(), Is.EqualTo("inf"));
        Assert.That(
            () => Thresholds.Conformal(_good, 1 - double.Parse(p, CultureInfo.InvariantCulture)),
            Throws.TypeOf<CalibrationException>().With.Message.Contains("37").And.Message.Contains($"at least {needed}"));
    }

    [Test]
    public void The_golden_maximum_mean_and_deviation_come_out()
    {
        Assert.That(Thresholds.Max(_good), Is.EqualTo((double)MathF.BitIncrement((float)_expected.GetProperty("good_max").GetDouble())));
        double sigma = _expected.GetProperty("good_mean").GetDouble() + (3 * _expected.GetProperty("good_std_sample (ddof 1)").GetDouble());
        Assert.That(Thresholds.Sigma(_good, 3), Is.EqualTo(sigma).Within(Tolerance));
    }

    [Test]
    public void F1_has_the_golden_maximum_half_a_step_below_the_golden_score()
    {
        (double threshold, double f1) = Thresholds.HighestF1(_good, _anomalous);
        float at = (float)_expected.GetProperty("anomalib F1AdaptiveThreshold, all scores").GetDouble();
        float below = _good.Concat(_anomalous).Where(s => s < at).Max();
        Assert.That(f1, Is.EqualTo(_expected.GetProperty("F1 at that threshold").GetProperty("score >= t").GetDouble()).Within(Tolerance));
        Assert.That(threshold, Is.EqualTo(((double)at + below) / 2));
        Assert.That(F1(_good, _anomalous, threshold), Is.EqualTo(f1).Within(1e-12), "no sample is lost to the comparison");
    }

    [Test]
    public void F1_of_separated_scores_is_1_and_the_threshold_lies_between()
    {
        (double threshold, double f1) = Thresholds.HighestF1([0.1f, 0.3f], [0.5f, 0.7f]);
        Assert.That((threshold, f1), Is.EqualTo(((0.3f + (double)0.5f) / 2, 1.0)));
    }

    [Test]
    public void F1_of_equal_scores_is_that_score() => Assert.That(Thresholds.HighestF1([2, 2], [2]), Is.EqualTo((2.0, 0.5)));

    [TestCase(0.01, 99)]
    [TestCase(0.02, 49)]
    [TestCase(0.003, 333)]
    [TestCase(0.5, 1)]
    [TestCase(1e-6, 999_999)]
    public void The_number_needed_is_the_least_that_will_do(double alpha, int needed)
    {
        Assert.That(Thresholds.NeededFor(alpha), Is.EqualTo(needed));
        if (needed > 1000)
        {
            return;
        }

        float[] scores = [.. Enumerable.Range(0, needed).Select(i => (float)i)];
        Assert.That(Thresholds.Conformal(scores, alpha), Is.EqualTo((double)MathF.BitIncrement(needed - 1)), "just the highest score");
        Assert.That(() => Thresholds.Conformal(scores.AsSpan(1), alpha), Throws.TypeOf<CalibrationException>());
    }

    [Test]
    public void Conformal_keeps_its_promise_on_scores_of_any_distribution()
    {
        // Mean over many calibrations of the rate of false rejects among new scores; its expectation is at most alpha.
        Random random = new(3);
        const double Alpha = 0.05;
        double rejected = 0;
        const int Calibrations = 400, New = 200;
        for (int c = 0; c < Calibrations; c++)
        {
            double threshold = Thresholds.Conformal(Draw(60), Alpha);
            rejected += Draw(New).Count(s => s >= threshold) / (double)New;
        }

        Assert.That(rejected / Calibrations, Is.InRange(0.5 * Alpha, 1.1 * Alpha));

        // Skewed, with ties.
        float[] Draw(int count) => [.. Enumerable.Range(0, count).Select(_ => MathF.Round(-MathF.Log(1 - random.NextSingle()), 2))];
    }

    [Test]
    public void Order_does_not_matter()
    {
        float[] shuffled = [.. _good];
        new Random(1).Shuffle(shuffled);
        Assert.That(Thresholds.Quantile(shuffled, 0.77), Is.EqualTo(Thresholds.Quantile(_good, 0.77)));
        Assert.That(Thresholds.Conformal(shuffled, 0.1), Is.EqualTo(Thresholds.Conformal(_good, 0.1)));
    }

    [Test]
    public void Nothing_comes_of_nothing()
    {
        Assert.That(() => Thresholds.Max([]), Throws.TypeOf<CalibrationException>());
        Assert.That(() => Thresholds.Quantile([], 0.5), Throws.TypeOf<CalibrationException>());
        Assert.That(() => Thresholds.Sigma([1], 3), Throws.TypeOf<CalibrationException>());
        Assert.That(() => Thresholds.HighestF1([1], []), Throws.TypeOf<CalibrationException>());
        Assert.That(() => new CalibrationScores([new CalibrationScore("a", 1, 1, IsAnomalous: true)]), Throws.TypeOf<CalibrationException>());
        Assert.That(() => Thresholds.Quantile([1], 1.5), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Thresholds.NeededFor(0), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void A_calibration_has_thresholds_of_both_levels_and_says_how()
    {
        CalibrationScores scores = new(Enumerable.Range(1, 9).Select(i => new CalibrationScore($"{i}", i, 10 * i, IsAnomalous: i > 8)));
        ModelCalibration found = scores.Calibrate(new ThresholdMethod(ThresholdMethodKind.Conformal, 0.25), "ab", new DateOnly(2026, 3, 4));
        Assert.That(found, Is.EqualTo(new ModelCalibration
        {
            Method = "conformal",
            Parameter = 0.25,
            GoodPictures = 8,
            Threshold = MathF.BitIncrement(7),
            PixelThreshold = MathF.BitIncrement(70),
            ScoreLow = 1,
            ScoreMedian = 4.5,
            ScoreHigh = 8,
            ScorePooling = "model",
            Date = "2026-03-04",
            PreprocessingHash = "ab",
        }));
        Assert.That((scores.CountAtLeast(found.Threshold!.Value, anomalous: false), scores.CountAtLeast(8, anomalous: true)), Is.EqualTo((1, 1)));
    }

    [TestCase(0.0, 0)]
    [TestCase(2.0, 0.5)]
    [TestCase(5.0, 1.25)]
    [TestCase(-1.0, -0.25)]
    public void Normalised_scores_have_the_threshold_at_one_half(double score, double expected) =>
        Assert.That(ModelCalibration.Normalize(score, threshold: 2, median: 0), Is.EqualTo(expected));

    [Test]
    public void Normalised_scores_decide_as_raw_ones([Values(-2.0, 0.5, 1.0, 3.0)] double median)
    {
        for (double score = -3; score < 5; score += 0.125)
        {
            Assert.That(ModelCalibration.Normalize(score, 1, median) >= 0.5, Is.EqualTo(median == 1 || score >= 1), $"{score}");
        }
    }

    private JsonElement Conformal(string p) => _expected.GetProperty("numpy.quantile on the good scores").GetProperty(p)
        .EnumerateObject().Single(o => o.Name.StartsWith("conformal", StringComparison.Ordinal)).Value;

    private static double F1(float[] good, float[] anomalous, double threshold)
    {
        double found = anomalous.Count(s => s >= threshold), wrong = good.Count(s => s >= threshold);
        return 2 * found / (found + wrong + anomalous.Length);
    }
}
