using KernelAD.Evaluation.Metrics;

namespace KernelAD.Evaluation.Tests.Metrics;

/// <summary>Values that the projects' own code computed on the same arrays.</summary>
[Category("Golden")]
public sealed class GoldenMetricsTests
{
    private const double Tolerance = 1e-6;

    /// <summary>Largest difference per source over all cases.</summary>
    private static readonly SortedDictionary<string, (double Difference, string Where)> Worst = new(StringComparer.Ordinal);

    [OneTimeTearDown]
    public static void Print()
    {
        foreach ((string source, (double difference, string where)) in Worst)
        {
            TestContext.Progress.WriteLine($"{source}: worst difference {difference:E1} ({where})");
        }
    }

    [TestCaseSource(typeof(MetricsCase), nameof(MetricsCase.All))]
    public void The_default_metrics_are_exact(string folder)
    {
        MetricsCase golden = new(folder);
        MetricsResult result = golden.Compute(MetricVariant.Default);
        using (Assert.EnterMultipleScope())
        {
            foreach ((string name, double expected) in golden.Expected("kernelad_default").Where(e => !e.Key.StartsWith("WRONG_", StringComparison.Ordinal)))
            {
                MetricValue value = result[name];
                Compare("kernelad_default", folder, name, value.Value, expected);
                Assert.That(value.IsDefined, Is.EqualTo(!double.IsNaN(expected)), $"{name}: {value.Reason}");
            }
        }
    }

    [TestCaseSource(typeof(MetricsCase), nameof(MetricsCase.All))]
    public void The_variants_of_ADer_are_reproduced_wherever_it_returns_a_number(string folder)
    {
        MetricsCase golden = new(folder);
        MetricsResult result = golden.Compute(MetricVariant.Ader);
        using (Assert.EnterMultipleScope())
        {
            foreach ((string name, double expected) in golden.Expected("ader"))
            {
                Compare("ader", folder, name, result[name].Value, expected);
            }
        }
    }

    [TestCaseSource(typeof(MetricsCase), nameof(MetricsCase.All))]
    public void Scikit_learn_and_MVTec_agree_where_the_metric_is_defined(string folder)
    {
        MetricsCase golden = new(folder);
        MetricsResult result = golden.Compute(MetricVariant.Default);
        using (Assert.EnterMultipleScope())
        {
            foreach (string source in (string[])["sklearn", "mvtec_official"])
            {
                foreach ((string name, double expected) in golden.Expected(source).Where(e => result[e.Key].IsDefined))
                {
                    Compare(source, folder, name, result[name].Value, expected);
                }
            }
        }
    }

    [TestCaseSource(typeof(MetricsCase), nameof(MetricsCase.All))]
    public void Image_scores_are_pooled_as_the_projects_do(string folder)
    {
        MetricsCase golden = new(folder);
        (int count, int height, int width) = golden.Shape;
        float[] maps = golden.Read<float>("maps");
        Dictionary<string, Func<float[], float>> poolings = new()
        {
            ["score_max"] = map => ImagePooling.Max(map),
            ["score_mean"] = map => ImagePooling.Mean(map),
            ["score_std"] = map => ImagePooling.StandardDeviation(map),
        };
        if (height >= ImagePooling.Side && width >= ImagePooling.Side)
        {
            poolings["score_avgpool16_max"] = map => ImagePooling.AverageThenMax(map, height, width);
        }

        using (Assert.EnterMultipleScope())
        {
            foreach ((string tensor, Func<float[], float> pool) in poolings)
            {
                float[] expected = golden.Read<float>(tensor);
                for (int i = 0; i < count; i++)
                {
                    float actual = pool(maps[(i * height * width)..((i + 1) * height * width)]);
                    Compare(tensor, folder, $"image {i}", actual, expected[i], Tolerance * Math.Max(1, Math.Abs(expected[i])));
                }
            }
        }
    }

    private static void Compare(string source, string folder, string name, double actual, double expected, double tolerance = Tolerance)
    {
        Assert.That(actual, Is.EqualTo(expected).Within(tolerance), $"{source} {name}");
        double difference = Math.Abs(actual - expected);
        if (!double.IsNaN(difference) && (!Worst.TryGetValue(source, out (double Difference, string Where) worst) || difference > worst.Difference))
        {
            Worst[source] = (difference, $"{Path.GetFileName(folder)}, {name}");
        }
    }
}
