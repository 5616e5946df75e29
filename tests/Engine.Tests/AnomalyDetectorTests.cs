using System.Text.Json.Nodes;
using KernelAD.Backends.Cpu;
using KernelAD.Interop;
using KernelAD.Preprocessing;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Engine.Tests;

public sealed class AnomalyDetectorTests
{
    private static readonly Func<RandomModel>[] Makers =
    [
        () => RandomModel.InTra(), () => RandomModel.InTra(position: "local"), () => RandomModel.InTra(map: "jhy12", skip: "jhy12", window: "jhy12"), () => RandomModel.VitAd(), () => RandomModel.VitAd(neck: 2),
        () => RandomModel.UniAd(),
        () => RandomModel.UniAd(("pos_embed_type", "sine"), ("normalize_before", true), ("activation", "gelu"), ("padding", "dynamic"), ("image_score", "mean"), ("neighbor_mask", false)),
        () => RandomModel.Adtr(), () => RandomModel.Adtr(positions: "table"),
    ];

    [Test]
    public void Batch_size_and_position_do_not_change_a_bit([ValueSource(nameof(Makers))] Func<RandomModel> make, [Values(2, 3, 4)] int batch)
    {
        using RandomModel file = make();
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path);
        Tensor input = RandomModel.Input(detector, 5);
        IReadOnlyDictionary<string, Tensor> one = detector.Run(input, detector.Taps, batch: 1), many = detector.Run(input, detector.Taps, batch);
        foreach ((string name, Tensor expected) in one)
        {
            Assert.That(many[name].Shape, Is.EqualTo(expected.Shape), name);
            Assert.That(many[name].Data, Is.EqualTo(expected.Data), name);
        }
    }

    [Test]
    public void The_number_of_threads_does_not_change_a_bit([ValueSource(nameof(Makers))] Func<RandomModel> make)
    {
        using RandomModel file = make();
        float[][] maps = [.. Enumerable.Range(1, 4).Select(threads =>
        {
            using AnomalyDetector detector = AnomalyDetector.Load(file.Path, new DetectorOptions { Threads = threads });
            return detector.Run(RandomModel.Input(detector, 2))["anomaly_map"].Data;
        })];
        Assert.That(maps, Has.All.EqualTo(maps[0]));
    }

    [Test]
    public void Taps_do_not_change_the_outputs_beyond_rounding([ValueSource(nameof(Makers))] Func<RandomModel> make)
    {
        using RandomModel file = make();
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path);
        Tensor input = RandomModel.Input(detector, 2);
        Assert.That(
            detector.Run(input, detector.Taps)["anomaly_map"].Data, Is.EqualTo(detector.Run(input)["anomaly_map"].Data).Within(1e-5));
    }

    [Test]
    public void A_memory_limit_slices_finer_and_changes_nothing()
    {
        using RandomModel file = RandomModel.InTra(height: 64, width: 64, blocks: 5);
        using AnomalyDetector free = AnomalyDetector.Load(file.Path);
        Tensor input = RandomModel.Input(free, 1);
        float[] expected = free.Run(input)["anomaly_map"].Data;
        long limit = free.WeightBytes + free.ActivationBytes - 1;

        using AnomalyDetector tight = AnomalyDetector.Load(file.Path, new DetectorOptions { MaxMemoryBytes = limit });
        Assert.That(tight.WeightBytes + tight.ActivationBytes, Is.LessThanOrEqualTo(limit));
        Assert.That(tight.Steps().Max(s => s.Repeats), Is.GreaterThan(free.Steps().Max(s => s.Repeats)));
        Assert.That(tight.Run(input)["anomaly_map"].Data, Is.EqualTo(expected));
    }

    [Test]
    public void A_memory_limit_that_cannot_be_met_is_an_error_that_says_what_is_needed()
    {
        using RandomModel file = RandomModel.InTra();
        Assert.That(
            () => AnomalyDetector.Load(file.Path, new DetectorOptions { MaxMemoryBytes = 1000 }),
            Throws.TypeOf<ConfigurationException>().With.Message.Contains("need at least"));
    }

    [Test]
    public void Many_threads_on_one_detector_get_the_same_bits()
    {
        using RandomModel file = RandomModel.VitAd();
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path, new DetectorOptions { MaxConcurrency = 3 });
        byte[][] pictures = [.. Enumerable.Range(0, 6).Select(seed => Pixels(40, 30, seed))];
        float[][] expected = [.. pictures.Select(p => detector.Detect(View(p, 40, 30)).Map.ToArray())];
        Parallel.For(0, 120, new ParallelOptions { MaxDegreeOfParallelism = 12 }, i =>
        {
            int picture = i % pictures.Length;
            AnomalyResult result = detector.Detect(View(pictures[picture], 40, 30));
            Assert.That(result.Map.ToArray(), Is.EqualTo(expected[picture]));
        });
    }

    [Test]
    public void Detecting_allocates_nothing_once_warm()
    {
        using RandomModel file = RandomModel.VitAd();
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path, new DetectorOptions { Threads = 2 });
        byte[] pixels = Pixels(50, 40, 7);
        float[] map = new float[detector.MapWidth * detector.MapHeight];
        for (int i = 0; i < 50; i++)
        {
            detector.Detect(View(pixels, 50, 40), map, out _);
        }

        // Threads that earlier tests have left behind may allocate at any time; a leak in the call would show in each of the series, 200 times.
        long[] allocated = [.. Enumerable.Range(0, 5).Select(_ =>
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            for (int i = 0; i < 200; i++)
            {
                detector.Detect(View(pixels, 50, 40), map, out DetectionTimings _);
            }

            return GC.GetTotalAllocatedBytes(precise: true) - before;
        })];
        Assert.That(allocated.Min(), Is.LessThan(200 * 8));
    }

    [Test]
    public void Batches_of_prepared_inputs_agree_with_single_pictures([Values(1, 2, 3)] int threads, [Values(2, 3, 8)] int batch)
    {
        using RandomModel file = RandomModel.InTra();
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path, new DetectorOptions { Device = "cpu", Threads = threads });
        int pixels = detector.MapWidth * detector.MapHeight;
        byte[][] pictures = [.. Enumerable.Range(0, 5).Select(seed => Pixels(33, 21, seed))];
        float[] inputs = new float[5 * 3 * pixels], maps = new float[5 * pixels], scores = new float[5];
        for (int i = 0; i < 5; i++)
        {
            detector.Preprocess(View(pictures[i], 33, 21), inputs.AsSpan(i * 3 * pixels, 3 * pixels));
        }

        maps.AsSpan().Fill(float.NaN);
        scores.AsSpan().Fill(float.NaN);
        detector.DetectBatch(inputs, 5, batch, maps, scores);

        AnomalyResult[] single = [.. pictures.Select(p => detector.Detect(View(p, 33, 21)))];
        Assert.That(scores, Is.EqualTo(single.Select(s => s.Score)));
        Assert.That(maps, Is.EqualTo(single.SelectMany(s => s.Map.ToArray())));
    }

    [TestCase(1, 8, 1)]
    [TestCase(3, 8, 3)]
    [TestCase(4, 2, 2)]
    public void The_cpu_takes_at_most_one_picture_a_thread_at_once(int threads, int batch, int expected)
    {
        using RandomModel file = RandomModel.VitAd();
        using CpuBackend backend = new(CpuWeights.Of(ModelFile.Open(file.Path)), threads, long.MaxValue);
        Assert.That(backend.PicturesAtOnce(batch), Is.EqualTo(expected));
    }

    [Test]
    public void Detectors_of_one_file_share_its_weights_and_free_them_with_the_last()
    {
        using RandomModel file = RandomModel.VitAd();
        AnomalyDetector first = AnomalyDetector.Load(file.Path), second = AnomalyDetector.Load(file.Path);
        Tensor input = RandomModel.Input(first, 1);
        float[] expected = first.Run(input)["anomaly_map"].Data;
        first.Dispose();
        Assert.That(second.Run(input)["anomaly_map"].Data, Is.EqualTo(expected));
        second.Dispose();
        Assert.That(() => second.Run(input), Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void Wrong_tensors_are_named()
    {
        using RandomModel file = RandomModel.VitAd();
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path);
        Assert.That(() => detector.Run(new Tensor(new Shape(1, 3, 24, 25))), Throws.TypeOf<TensorException>().With.Message.Contains("(1, 3, 24, 25)").And.Message.Contains("(N, 3, 24, 24)"));
        Tensor nan = RandomModel.Input(detector, 1);
        nan.Data[77] = float.NaN;
        Assert.That(() => detector.Run(nan), Throws.TypeOf<TensorException>().With.Message.Contains("77"));
        Assert.That(() => detector.Run(RandomModel.Input(detector, 1), ["t.block9"]), Throws.TypeOf<TensorException>().With.Message.Contains("t.block9"));
    }

    [Test]
    public void Weights_that_are_not_finite_or_overflow_never_become_a_score()
    {
        using RandomModel bad = RandomModel.Create("ViTAD", new JsonObject
        {
            ["image"] = new JsonArray(8, 8),
            ["patch"] = 4,
            ["embed_dim"] = 8,
            ["heads"] = 1,
            ["teacher_depth"] = 1,
            ["teachers"] = new JsonArray(1),
            ["neck"] = new JsonArray(1),
            ["student_depth"] = 1,
            ["students"] = new JsonArray(1),
            ["image_score_avgpool"] = 2,
        }, t => [.. Enumerable.Repeat(t.Name == "net_fusion.fc.bias" ? float.PositiveInfinity : 0.1f, (int)t.Shape.Count)]);
        Assert.That(() => AnomalyDetector.Load(bad.Path), Throws.TypeOf<ModelFileException>().With.Message.Contains("net_fusion.fc.bias"));
    }

    [Test]
    public void A_calibration_decides_and_normalises_and_can_be_overridden()
    {
        using RandomModel random = RandomModel.InTra();
        PictureView picture = new(new byte[30 * 30], 30, 30, PixelFormat.Gray8);
        float score;
        using (AnomalyDetector plain = AnomalyDetector.Load(random.Path))
        {
            AnomalyResult result = plain.Detect(picture);
            score = result.Score;
            Assert.That((result.Threshold, result.PixelThreshold, result.NormalizedScore), Is.EqualTo(((double?)null, (double?)null, (double?)null)));
        }

        using (ModelFile file = ModelFile.Open(random.Path))
        {
            file.Rewrite(random.Path, new ModelCalibration { Threshold = score / 2, PixelThreshold = 0.75, ScoreMedian = score / 4, PreprocessingHash = file.PreprocessingHash }, []);
        }

        using (AnomalyDetector calibrated = AnomalyDetector.Load(random.Path))
        {
            AnomalyResult result = calibrated.Detect(picture).From("a.png");
            Assert.That((result.IsAnomalous, result.PixelThreshold), Is.EqualTo((true, (double?)0.75)));
            Assert.That(result.NormalizedScore, Is.EqualTo(1.5).Within(1e-6), "twice as far from the threshold as the median");
        }

        using (AnomalyDetector other = AnomalyDetector.Load(random.Path, new DetectorOptions { Threshold = 2 * score }))
        {
            AnomalyResult result = other.Detect(picture);
            Assert.That((result.IsAnomalous, result.NormalizedScore < 0.5), Is.EqualTo((false, true)));
        }

        using AnomalyDetector ignored = AnomalyDetector.Load(random.Path, new DetectorOptions { UseCalibration = false });
        Assert.That((ignored.Threshold, ignored.PixelThreshold, ignored.Calibration), Is.EqualTo(((double?)null, (double?)null, (ModelCalibration?)null)));
    }

    [Test]
    public void A_calibration_of_another_preprocessing_is_refused()
    {
        using RandomModel random = RandomModel.InTra();
        using (ModelFile file = ModelFile.Open(random.Path))
        {
            file.Rewrite(random.Path, new ModelCalibration { Threshold = 1, PreprocessingHash = "0123" }, []);
        }

        Assert.That(() => AnomalyDetector.Load(random.Path), Throws.TypeOf<ModelFileException>().With.Message.Contains("another preprocessing").And.Message.Contains("calibrate"));
        using AnomalyDetector ignored = AnomalyDetector.Load(random.Path, new DetectorOptions { UseCalibration = false });
        Assert.That(ignored.Threshold, Is.Null);
    }

    [Test]
    public void A_missing_mean_map_is_said_and_counts_as_zeros()
    {
        using RandomModel file = RandomModel.InTra();
        string bare = file.Path + ".bare";
        try
        {
            using (ModelFile model = ModelFile.Open(file.Path))
            {
                TensorSource[] tensors = [.. model.Tensors.Values.Where(t => t.Name != KernelAD.Models.InTra.MeanMapKey).Select(t =>
                {
                    Tensor tensor = new(t.Shape);
                    model.ReadFloat32(t.Name, tensor.Data);
                    return TensorSource.Of(t.Name, tensor);
                })];
                ModelFile.Write(bare, model.Model, tensors, model.Details);
            }

            using AnomalyDetector detector = AnomalyDetector.Load(bare);
            Assert.That(detector.Warnings, Has.Count.EqualTo(1).And.All.Contains("mean_map"));
            IReadOnlyDictionary<string, Tensor> run = detector.Run(RandomModel.Input(detector, 1), ["diff"]);
            Assert.That(run["anomaly_map"].Data, Is.EqualTo(run["diff"].Data.Select(d => d * d)).Within(1e-6));
        }
        finally
        {
            File.Delete(bare);
        }
    }

    [TestCase("cuda:999")]
    [TestCase("emulated:sm_80")]
    [TestCase("tpu")]
    public void A_device_that_is_not_there_is_an_error_and_no_fall_back(string device)
    {
        using RandomModel file = RandomModel.VitAd();
        // Without a driver that is what is wrong with a CUDA device.
        Assert.That(
            () => AnomalyDetector.Load(file.Path, new DetectorOptions { Device = device }),
            Throws.TypeOf<DeviceNotAvailableException>().Or.TypeOf<CudaNotAvailableException>());
    }

    [Test]
    public void A_decision_needs_a_threshold()
    {
        using RandomModel file = RandomModel.VitAd();
        using AnomalyDetector undecided = AnomalyDetector.Load(file.Path);
        AnomalyResult result = undecided.Detect(View(Pixels(24, 24, 1), 24, 24));
        Assert.That(() => result.IsAnomalous, Throws.TypeOf<InvalidOperationException>());
        using AnomalyDetector at = AnomalyDetector.Load(file.Path, new DetectorOptions { Threshold = result.Score });
        Assert.That(at.Detect(View(Pixels(24, 24, 1), 24, 24)).IsAnomalous, Is.True, "a score at the threshold is anomalous");
        using AnomalyDetector above = AnomalyDetector.Load(file.Path, new DetectorOptions { Threshold = Math.BitIncrement(result.Score) });
        Assert.That(above.Detect(View(Pixels(24, 24, 1), 24, 24)).IsAnomalous, Is.False);
    }

    [Test]
    public void A_cancelled_call_stops_and_the_detector_stays_usable()
    {
        using RandomModel file = RandomModel.InTra();
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path);
        byte[] pixels = Pixels(24, 24, 1);
        Assert.That(() => detector.Detect(View(pixels, 24, 24), new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(detector.Detect(View(pixels, 24, 24)).Score, Is.Not.NaN);
    }

    private static byte[] Pixels(int width, int height, int seed)
    {
        byte[] pixels = new byte[3 * width * height];
        new Random(seed).NextBytes(pixels);
        return pixels;
    }

    private static PictureView View(byte[] pixels, int width, int height) => new(pixels, width, height, PixelFormat.Rgb24);
}
