using KernelAD.Evaluation.Metrics;

namespace KernelAD.Evaluation.Tests.Metrics;

public sealed class CategoryMeanTests
{
    [Test]
    public void Every_category_counts_the_same_and_undefined_ones_are_skipped()
    {
        MetricsResult perfect = Images((true, 2), (false, 1));
        MetricsResult half = Images((true, 1), (false, 1), (false, 1), (true, 1));
        MetricsResult good = Images((false, 1));
        CategoryMean auroc = CategoryMean.Of([perfect, half, good]).Single(m => m.Name == "image_auroc");
        Assert.That(auroc.Value.Value, Is.EqualTo(0.75));
        Assert.That(auroc.Skipped, Is.EqualTo(1));
    }

    [Test]
    public void What_is_undefined_everywhere_has_no_mean()
    {
        CategoryMean auroc = CategoryMean.Of([Images((false, 1))]).Single(m => m.Name == "image_auroc");
        Assert.That(auroc.Value.Value, Is.NaN);
        Assert.That(auroc.Value.Reason, Is.Not.Null);
    }

    [Test]
    public void Thresholds_and_counts_have_no_mean() =>
        Assert.That(CategoryMean.Of([Images((true, 2), (false, 1))]).Select(m => m.Name), Has.None.Contains("threshold").And.None.Contains("regions").And.None.Contains("_at"));

    private static MetricsResult Images(params (bool IsAnomalous, float Score)[] images)
    {
        MetricsCollector collector = new();
        foreach ((bool isAnomalous, float score) in images)
        {
            collector.AddImage("", isAnomalous, score);
        }

        return collector.Compute();
    }
}
