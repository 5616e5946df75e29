using KernelAD.Evaluation;
using KernelAD.Evaluation.DataSets;
using KernelAD.Evaluation.Metrics;
using KernelAD.Evaluation.Report;
using KernelAD.Imaging;
using KernelAD.Preprocessing;

namespace KernelAD.Browser.Tests;

/// <summary>A report over made-up pictures of two categories, whose scores the tests know; written to a folder of its own, deleted at the end.</summary>
internal sealed class ReportFixture : IDisposable
{
    private const int Side = 24;
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "kernelad-browser-tests-" + Guid.NewGuid().ToString("N"));

    /// <summary>Writes the report.</summary>
    /// <param name="shown">Pictures of a category that are embedded at most.</param>
    public ReportFixture(int shown = 100)
    {
        for (int i = 0; i < Good.Length; i++)
        {
            Touch($"tile/test/good/{i:00}.png");
        }

        for (int i = 0; i < Anomalous.Length; i++)
        {
            // A name that would be markup if anything took it as such.
            Touch($"tile/test/scratch/{i:00} <img src=x onerror=alert(1)>.png");
        }

        Touch("wood/test/good/a.png");
        DataSet data = DataSet.Open(_folder);
        EvaluationResult result = new()
        {
            Data = data,
            Options = new EvaluationOptions { GalleryPictures = shown },
            Model = new EvaluatedModel(
                "ViTAD",
                "tile.safetensors",
                new string('a', 64),
                "RGB, bilinear resize to 24×24 as Pillow, divided by 255",
                Side,
                Side,
                "cpu, 2 threads",
                "fp32",
                Lanes: 2,
                Threshold: null,
                PixelThreshold: null,
                Calibration: null,
                Warnings: []),
            Categories = [.. data.Categories.Select(c => Judge(c, shown))],
            Problems = ["tile/test/good/99.png: cannot be read"],
            Remarks = [],
            Elapsed = TimeSpan.FromSeconds(3),
            Date = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
        };
        File.WriteAllBytes(Page, ReportPage.Render(result));
    }

    /// <summary>Scores of the good pictures of the first category.</summary>
    public static float[] Good { get; } = [0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f];

    /// <summary>Scores of its anomalous ones.</summary>
    public static float[] Anomalous { get; } = [0.45f, 0.9f, 1.0f, 1.1f, 1.2f];

    public string Page => Path.Combine(_folder, "report.html");

    public string Url => new Uri(Page).AbsoluteUri;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static CategoryResult Judge(Category category, int shown)
    {
        MetricsCollector collector = new();
        GallerySelection gallery = new(shown);
        List<PictureResult> pictures = [];
        (int good, int anomalous) = (0, 0);
        foreach (Sample sample in category.Test)
        {
            float score = sample.IsAnomalous ? Anomalous[anomalous++] : Good[good++];
            float[] map = [.. Enumerable.Range(0, Side * Side).Select(i => score * (i % Side) / Side)];
            Mask mask = new(Side, Side, [.. Enumerable.Range(0, Side * Side).Select(i => sample.IsAnomalous && i % Side > 15 ? (byte)1 : (byte)0)], MaskRemark.None);
            using Picture picture = new(Side, Side, PixelFormat.Gray8);
            picture.Pixels.Fill(90);
            collector.AddImage(sample.Name, sample.IsAnomalous, score);
            collector.AddPixels(sample.Name, map, mask.Pixels, Side, Side);
            gallery.Add(GalleryPicture.Of(sample.Name, picture, map, Side, Side, new PictureRegion(0, 0, Side, Side), mask), sample.IsAnomalous, score);
            pictures.Add(new PictureResult(sample) { Score = score, Width = Side, Height = Side });
        }

        return new CategoryResult(category.Name, collector.Compute(), pictures, gallery.Finish());
    }

    private void Touch(string name)
    {
        string path = Path.Combine(_folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, "");
    }
}
