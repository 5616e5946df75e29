using KernelAD.Evaluation.Metrics;

namespace KernelAD.Evaluation.Tests.Metrics;

/// <summary>What has to hold for any scores.</summary>
public sealed class MetricLawTests
{
    private static readonly string[] Shares = ["image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro_0.3", "aupro_0.05", "aupro_1.0"];

    [Test]
    public void The_definitions_give_the_same([Range(1, 8)] int seed)
    {
        RandomSet set = Set(seed);
        MetricsResult result = set.Compute();
        (float[] pixels, bool[] labels, int[] regions) = (set.Pixels, set.PixelLabels, set.Regions);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(result["image_auroc"].Value, Is.EqualTo(ReferenceMetrics.Auroc(set.Scores, set.Labels)).Within(1e-12));
            Assert.That(result["image_ap"].Value, Is.EqualTo(ReferenceMetrics.AveragePrecision(set.Scores, set.Labels)).Within(1e-12));
            Assert.That(result["pixel_auroc"].Value, Is.EqualTo(ReferenceMetrics.Auroc(pixels, labels)).Within(1e-12));
            Assert.That(result["pixel_ap"].Value, Is.EqualTo(ReferenceMetrics.AveragePrecision(pixels, labels)).Within(1e-12));
            (double f1, float at) = ReferenceMetrics.HighestF1(pixels, labels);
            Assert.That(result["pixel_f1max"].Value, Is.EqualTo(f1).Within(1e-12));
            Assert.That(result["pixel_f1max_at"].Value, Is.EqualTo(at));
            Assert.That(result["aupro_0.3"].Value, Is.EqualTo(ReferenceMetrics.Aupro(pixels, regions, 0.3)).Within(1e-12));
            Assert.That(result["aupro_0.05"].Value, Is.EqualTo(ReferenceMetrics.Aupro(pixels, regions, 0.05)).Within(1e-12));
            Assert.That(result["aupro_1.0"].Value, Is.EqualTo(ReferenceMetrics.Aupro(pixels, regions, 1)).Within(1e-12));
            Assert.That(result["regions_8"].Value, Is.EqualTo(regions.Where(r => r >= 0).Distinct().Count()));
        }
    }

    [Test]
    public void The_threshold_gives_the_counts_of_the_highest_F1([Range(1, 8)] int seed)
    {
        RandomSet set = Set(seed);
        MetricsResult result = set.Compute();
        (float[] pixels, double at, double threshold) = (set.Pixels, result["pixel_f1max_at"].Value, result["pixel_threshold"].Value);
        Assert.That(pixels.Select(p => p >= threshold), Is.EqualTo(pixels.Select(p => p >= at)));
        float[] below = [.. pixels.Where(p => p < at)];
        Assert.That(threshold, Is.EqualTo(below.Length > 0 ? (at + below.Max()) / 2 : at));
    }

    [Test]
    public void Order_does_not_matter([Range(1, 8)] int seed)
    {
        RandomSet set = Set(seed);
        double[] expected = Values(set.Compute());
        int[] order = [.. Enumerable.Range(0, set.Maps.Length)];
        new Random(5).Shuffle(order);
        Assert.That(Values(set.Order(order).Compute()), Is.EqualTo(expected));
        Assert.That(Values(set.Turned().Compute()), Is.EqualTo(expected));
    }

    [Test]
    public void Scaling_by_a_power_of_two_changes_thresholds_only([Range(1, 8)] int seed)
    {
        RandomSet set = Set(seed);
        (MetricsResult plain, MetricsResult scaled) = (set.Compute(), set.Map(v => v * 64).Compute());
        Assert.That(Shares.Select(s => scaled[s].Value), Is.EqualTo(Shares.Select(s => plain[s].Value)));
        Assert.That(scaled["pixel_threshold"].Value, Is.EqualTo(64 * plain["pixel_threshold"].Value));
    }

    [Test]
    public void A_set_counted_twice_gives_the_same_values([Range(1, 8)] int seed)
    {
        RandomSet set = Set(seed);
        RandomSet twice = set.Order([.. Enumerable.Range(0, set.Maps.Length), .. Enumerable.Range(0, set.Maps.Length)]);
        (MetricsResult once, MetricsResult doubled) = (set.Compute(), twice.Compute());
        Assert.That(Shares.Select(s => doubled[s].Value), Is.EqualTo(Shares.Select(s => once[s].Value)).Within(1e-12));
        Assert.That(doubled["regions_8"].Value, Is.EqualTo(2 * once["regions_8"].Value));
    }

    [Test]
    public void Turning_the_scores_round_turns_AUROC_round([Range(1, 8)] int seed)
    {
        RandomSet set = Set(seed);
        (MetricsResult plain, MetricsResult negated) = (set.Compute(), set.Map(v => -v).Compute());
        Assert.That(negated["pixel_auroc"].Value, Is.EqualTo(1 - plain["pixel_auroc"].Value).Within(1e-15));
        Assert.That(negated["image_auroc"].Value, Is.EqualTo(1 - plain["image_auroc"].Value).Within(1e-15));
    }

    [Test]
    public void A_map_equal_to_its_mask_is_perfect([Range(1, 8)] int seed)
    {
        RandomSet set = Set(seed);
        RandomSet perfect = set with { Maps = [.. set.Masks.Select(m => m.Select(v => (float)v).ToArray())], Scores = [.. set.Labels.Select(l => l ? 1f : 0f)] };
        MetricsResult result = perfect.Compute();
        Assert.That(Shares.Select(s => result[s].Value), Is.All.EqualTo(1.0).Within(1e-12));
    }

    [Test]
    public void The_number_of_threads_changes_nothing([Values(MetricVariant.Default, MetricVariant.Ader)] MetricVariant variant)
    {
        RandomSet set = RandomSet.Create(seed: 3, count: 9, height: 101, width: 77, levels: 5000);
        double[] expected = Values(set.Compute(variant, threads: 1));
        Assert.That(expected, Has.Some.Not.NaN);
        foreach (int threads in (int[])[2, 3, 8, 0])
        {
            Assert.That(Values(set.Compute(variant, threads)), Is.EqualTo(expected), $"{threads} threads");
        }
    }

    [Test]
    public void Ties_are_one_step_of_the_curve()
    {
        MetricsCollector collector = new();
        foreach ((bool anomalous, float score) in ((bool, float)[])[(true, 2), (false, 2), (false, 1), (true, 1), (false, 1), (false, 0)])
        {
            collector.AddImage("", anomalous, score);
        }

        // Steps: (TP 1, FP 1), (2, 3), (2, 4): area (1·(0+1) + 2·(1+2) + 1·(2+2)) / (2·2·4), AP ½·½ + ½·2/5.
        MetricsResult result = collector.Compute();
        Assert.That(result["image_auroc"].Value, Is.EqualTo(11.0 / 16));
        Assert.That(result["image_ap"].Value, Is.EqualTo(0.45).Within(1e-15));
    }

    [Test]
    public void Of_equal_F1_the_lowest_threshold_wins()
    {
        // F1 is 2·1/(1 + 0 + 2) at 5 and 2·2/(2 + 2 + 2) at 3: both 2/3.
        MetricsCollector collector = new();
        foreach ((bool anomalous, float score) in ((bool, float)[])[(true, 5), (false, 4), (false, 4), (true, 3), (false, 1)])
        {
            collector.AddImage("", anomalous, score);
        }

        MetricsResult result = collector.Compute();
        Assert.That(result["image_f1max"].Value, Is.EqualTo(2.0 / 3).Within(1e-15));
        Assert.That(result["image_f1max_at"].Value, Is.EqualTo(3));
        Assert.That(result["image_threshold"].Value, Is.EqualTo(2));
    }

    [Test]
    public void Minus_zero_is_zero()
    {
        MetricsCollector collector = new();
        collector.AddImage("a", true, -0f);
        collector.AddImage("b", false, 0f);
        Assert.That(collector.Compute()["image_auroc"].Value, Is.EqualTo(0.5));
    }

    [Test]
    public void Infinities_are_sorted_like_numbers_and_thresholds_stay_usable()
    {
        MetricsCollector collector = new();
        collector.AddImage("a", true, float.PositiveInfinity);
        collector.AddImage("b", true, 1);
        collector.AddImage("c", false, float.NegativeInfinity);
        MetricsResult result = collector.Compute();
        Assert.That(result["image_auroc"].Value, Is.EqualTo(1));
        Assert.That(result["image_threshold"].Value, Is.EqualTo(1));
    }

    [Test]
    public void Curves_begin_and_end_where_they_have_to_and_enclose_the_area()
    {
        RandomSet set = RandomSet.Create(seed: 4, count: 8, height: 64, width: 64);
        MetricsResult result = set.Compute();
        foreach ((IReadOnlyList<CurvePoint> curve, string area) in new[] { (result.PixelCurves.Roc, "pixel_auroc"), (result.PixelCurves.RegionOverlap, "aupro_1.0"), (result.ImageCurves.Roc, "image_auroc") })
        {
            Assert.That(curve[0], Is.EqualTo(new CurvePoint(0, 0)));
            Assert.That(curve[^1], Is.EqualTo(new CurvePoint(1, 1)));
            Assert.That(curve.Zip(curve.Skip(1)).Sum(p => (p.Second.X - p.First.X) * (p.First.Y + p.Second.Y) / 2), Is.EqualTo(result[area].Value).Within(MetricCurves.Resolution));
        }

        Assert.That(result.PixelCurves.Roc, Has.Count.LessThan(2.1 / MetricCurves.Resolution));
        Assert.That(result.PixelCurves.PrecisionRecall[^1].X, Is.EqualTo(1).Within(MetricCurves.Resolution));
    }

    /// <summary>Half of them have few distinct values, hence many ties.</summary>
    private static RandomSet Set(int seed) => RandomSet.Create(seed, levels: seed % 2 == 0 ? 0 : 3 * seed);

    private static double[] Values(MetricsResult result) => [.. result.Values.Select(m => m.Value.Value)];
}
