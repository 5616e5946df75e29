using System.Text.Json.Nodes;
using KernelAD.Golden;
using KernelAD.Models;
using KernelAD.Preprocessing;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Imaging.Tests;

public sealed class PicturePipelineTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kernelad-pipeline-").FullName;
    private string _model = "";

    [OneTimeSetUp]
    public void WriteAModel()
    {
        Model model = ModelRegistry.Create("InTra", (JsonObject)JsonNode.Parse(
            """{"image_h": 24, "image_w": 24, "K": 4, "L": 3, "N": 2, "h": 2, "d_model": 16, "grid_max": 6}""")!);
        _model = Path.Combine(_folder, "model.safetensors");
        ModelFile.Write(
            _model,
            model,
            [.. model.Tensors.Select(t => TensorSource.Of(t.Name, new Tensor(t.Shape, FormulaTensor.Parameter(t.Name, t.Shape))))],
            new ModelFileDetails());
    }

    [OneTimeTearDown]
    public void Clean() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void Results_come_in_order_whatever_the_lanes_and_batches([Values(1, 2, 4)] int batch, [Values(1, 2)] int threads)
    {
        using AnomalyDetector one = AnomalyDetector.Load(_model);
        float[] expected = [.. Enumerable.Range(0, 23).Select(i => { using Picture p = Make(i); return one.Detect(p.View).Score; })];
        using PicturePipeline pipeline = PicturePipeline.Load(_model, new DetectorOptions { Device = "cpu", Threads = threads }, batch: batch);
        Assert.That(pipeline.Lanes, Is.EqualTo(Math.Min(threads, Environment.ProcessorCount)));

        float[] found = [.. pipeline.RunAsync(Enumerable.Range(0, 23), Make, (_, outcome) => outcome.Score).ToBlockingEnumerable()];

        Assert.That(found, Is.EqualTo(expected));
    }

    [Test]
    public void A_bad_picture_is_an_outcome_and_the_batch_is_filled_with_others()
    {
        using PicturePipeline pipeline = Load(batch: 3);
        (int Source, string? Error, int Map)[] found =
        [
            .. pipeline.RunAsync(
                Enumerable.Range(0, 10),
                i => i % 4 == 1 ? throw new PictureException($"picture {i} is bad") : Make(i),
                (i, outcome) => (i, outcome.Error, outcome.Map.Length)).ToBlockingEnumerable(),
        ];
        Assert.That(found.Select(f => f.Source), Is.EqualTo(Enumerable.Range(0, 10)));
        Assert.That(found.Where(f => f.Error is not null).Select(f => f.Error), Is.EqualTo((string[])["picture 1 is bad", "picture 5 is bad", "picture 9 is bad"]));
        Assert.That(found.Where(f => f.Error is null).Select(f => f.Map), Is.All.EqualTo(24 * 24));
    }

    [Test]
    public void Few_pictures_are_on_their_way_at_a_time()
    {
        using PicturePipeline pipeline = Load(batch: 2);
        int taken = 0, most = 0, used = 0;
        foreach (int i in pipeline.RunAsync(Count(), Make, (i, _) => i).ToBlockingEnumerable().Take(200))
        {
            most = Math.Max(most, Volatile.Read(ref taken) - used++);
        }

        Assert.That(used, Is.EqualTo(200), "the sequence is endless, the run is not");
        Assert.That(most, Is.InRange(1, (pipeline.Lanes * 2 * 4) + 1));

        IEnumerable<int> Count()
        {
            for (int i = 0; ; i++)
            {
                Interlocked.Increment(ref taken);
                yield return i;
            }
        }
    }

    [Test]
    public void Cancelling_returns_what_is_in_hand_and_then_ends()
    {
        using PicturePipeline pipeline = Load(batch: 1);
        using CancellationTokenSource stop = new();
        List<int> found = [];
        int begun = 0;
        Assert.That(
            () =>
            {
                foreach (int i in pipeline.RunAsync(Enumerable.Range(0, int.MaxValue), i => { Interlocked.Increment(ref begun); return Make(i); }, (i, _) => i, stop.Token).ToBlockingEnumerable())
                {
                    found.Add(i);
                    if (i == 5)
                    {
                        stop.Cancel();
                    }
                }
            },
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(found, Is.EqualTo(Enumerable.Range(0, begun)), "every picture begun is returned");
    }

    [Test]
    public void A_source_that_never_gives_does_not_hold_up_the_end()
    {
        using PicturePipeline pipeline = Load(batch: 1);
        using CancellationTokenSource stop = new();
        using ManualResetEventSlim never = new();
        Assert.That(
            () =>
            {
                foreach (int i in pipeline.RunAsync(Feed(), Make, (i, _) => i, stop.Token).ToBlockingEnumerable())
                {
                    stop.Cancel();
                }
            },
            Throws.InstanceOf<OperationCanceledException>());
        never.Set();

        IEnumerable<int> Feed()
        {
            yield return 1;
            never.Wait();
        }
    }

    [Test]
    public void Errors_of_the_callers_functions_and_of_the_source_reach_the_caller()
    {
        using PicturePipeline pipeline = Load(batch: 2);
        Assert.That(() => Run(Enumerable.Range(0, 9), i => i == 4 ? throw new InvalidOperationException("read") : Make(i), (i, _) => i), Throws.InvalidOperationException.With.Message.EqualTo("read"));
        Assert.That(() => Run(Enumerable.Range(0, 9), Make, (i, _) => i == 4 ? throw new InvalidOperationException("finish") : i), Throws.InvalidOperationException.With.Message.EqualTo("finish"));
        Assert.That(() => Run(Enumerable.Range(0, 9).Select(i => i == 4 ? throw new InvalidOperationException("source") : i), Make, (i, _) => i), Throws.InvalidOperationException.With.Message.EqualTo("source"));
        Assert.That(Run(Enumerable.Range(0, 9), Make, (i, _) => i), Has.Length.EqualTo(9), "the pipeline is still good");

        int[] Run(IEnumerable<int> sources, Func<int, Picture> read, Func<int, PictureOutcome, int> finish) => [.. pipeline.RunAsync(sources, read, finish).ToBlockingEnumerable()];
    }

    [Test]
    public void Little_memory_means_one_plan()
    {
        using AnomalyDetector one = AnomalyDetector.Load(_model, new DetectorOptions { Device = "cpu" });
        long limit = one.WeightBytes + (3 * one.ActivationBytes / 2);
        using PicturePipeline pipeline = PicturePipeline.Load(_model, new DetectorOptions { Device = "cpu", MaxMemoryBytes = limit });
        Assert.That(pipeline.Lanes, Is.EqualTo(Environment.ProcessorCount == 1 ? 1 : 2));
        Assert.That(pipeline.RunAsync(Enumerable.Range(0, 5), Make, (i, outcome) => outcome.Error).ToBlockingEnumerable(), Is.All.Null.And.Exactly(5).Items);
    }

    private PicturePipeline Load(int batch) => PicturePipeline.Load(_model, new DetectorOptions { Device = "cpu", Threads = 2 }, batch: batch);

    private static Picture Make(int seed)
    {
        Picture picture = new(20 + (seed % 7), 30, PixelFormat.Rgb24);
        PictureBytes.Pattern(picture.Width, picture.Height, seed).CopyTo(picture.Pixels);
        return picture;
    }
}
