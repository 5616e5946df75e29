using System.Text.Json.Nodes;
using KernelAD.Golden;
using KernelAD.Models;
using KernelAD.Preprocessing;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Imaging.Tests;

public sealed class DetectorExtensionsTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kernelad-extensions-").FullName;
    private AnomalyDetector _detector = null!;

    [OneTimeSetUp]
    public void LoadAModel()
    {
        Model model = ModelRegistry.Create("InTra", (JsonObject)JsonNode.Parse(
            """{"image_h": 24, "image_w": 24, "K": 4, "L": 3, "N": 2, "h": 2, "d_model": 16, "grid_max": 6}""")!);
        string path = Path.Combine(_folder, "model.safetensors");
        ModelFile.Write(
            path,
            model,
            [.. model.Tensors.Select(t => TensorSource.Of(t.Name, new Tensor(t.Shape, FormulaTensor.Parameter(t.Name, t.Shape))))],
            new ModelFileDetails());
        _detector = AnomalyDetector.Load(path);
    }

    [OneTimeTearDown]
    public void Clean()
    {
        _detector.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Test]
    public void A_file_gives_the_result_of_its_pixels_and_an_overlay_of_its_size()
    {
        string path = WritePicture("a.png", 50, 37, seed: 1);
        using Picture picture = PictureFile.Read(path);

        AnomalyResult result = _detector.Detect(path);
        result.SaveOverlay(Path.Combine(_folder, "a.heat.png"));

        Assert.That(result.Source, Is.EqualTo(path));
        Assert.That(result.Map.ToArray(), Is.EqualTo(_detector.Detect(picture.View).Map.ToArray()));
        using Picture overlay = PictureFile.Read(Path.Combine(_folder, "a.heat.png"));
        Assert.That((overlay.Width, overlay.Height), Is.EqualTo((50, 37)));
        Assert.That(overlay.Pixels.SequenceEqual(picture.Pixels), Is.False);
    }

    [Test]
    public void An_overlay_needs_a_file()
    {
        AnomalyResult result = _detector.Detect(new PictureView(new byte[24 * 24], 24, 24, PixelFormat.Gray8));
        Assert.That(() => result.SaveOverlay(Path.Combine(_folder, "none.png")), Throws.TypeOf<InvalidOperationException>());
        Assert.That(File.Exists(Path.Combine(_folder, "none.png")), Is.False);
    }

    [Test]
    public async Task A_stream_of_files_keeps_their_order()
    {
        string[] paths = [.. Enumerable.Range(0, 7).Select(i => WritePicture($"s{i}.png", 20 + i, 30, seed: i))];
        List<(string?, float)> found = [];
        await foreach (AnomalyResult result in _detector.DetectAsync(paths))
        {
            found.Add((result.Source, result.Score));
        }

        Assert.That(found, Is.EqualTo(paths.Select(p => ((string?)p, _detector.Detect(p).Score))));
    }

    [Test]
    public void A_stream_ends_with_the_error_of_a_bad_file()
    {
        string bad = Path.Combine(_folder, "bad.png");
        File.WriteAllText(bad, "no picture");
        int done = 0;
        Assert.That(
            async () =>
            {
                await foreach (AnomalyResult result in _detector.DetectAsync([WritePicture("good.png", 24, 24, 1), bad, "never-reached.png"]))
                {
                    done++;
                }
            },
            Throws.TypeOf<PictureException>().With.Message.Contains("bad.png"));
        Assert.That(done, Is.EqualTo(1));
    }

    [Test]
    public async Task A_stream_may_be_left_early()
    {
        string path = WritePicture("endless.png", 24, 24, 1);
        int done = 0;
        await foreach (AnomalyResult result in _detector.DetectAsync(Endless(path)))
        {
            if (++done == 3)
            {
                break;
            }
        }

        Assert.That(done, Is.EqualTo(3));

        static IEnumerable<string> Endless(string path)
        {
            while (true)
            {
                yield return path;
            }
        }
    }

    private string WritePicture(string name, int width, int height, int seed)
    {
        string path = Path.Combine(_folder, name);
        using Picture picture = new(width, height, PixelFormat.Rgb24);
        new Random(seed).NextBytes(picture.Pixels);
        PictureFile.WritePng(path, picture.View);
        return path;
    }
}
