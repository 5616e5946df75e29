using System.Text.Json.Nodes;
using KernelAD.Interop;

namespace KernelAD.Engine.Tests.Backends.Cuda;

/// <summary>What the backend asks of a driver, and what it does when one of the calls fails.</summary>
public sealed class CudaBackendTests
{
    public static IEnumerable<Func<RandomModel>> Models() => [() => RandomModel.VitAd(neck: 2), () => RandomModel.InTra()];

    [TestCaseSource(nameof(Models))]
    public void Every_call_that_fails_is_reported_and_leaves_nothing_behind(Func<RandomModel> create)
    {
        using RandomModel file = create();
        FakeCudaDriver counting = new();
        using (AnomalyDetector detector = Load(file, counting))
        {
            Run(detector, batch: 1);
        }

        int calls = counting.Calls;
        Assert.That(calls, Is.GreaterThan(50));
        // The calls of loading are many and alike: a sample of them, and all of the last ones, which make the context and run.
        for (int call = 1; call <= calls; call += call < calls - 150 ? 7 : 1)
        {
            FakeCudaDriver driver = new() { FailAt = call };
            AnomalyDetector? detector = null;
            try
            {
                detector = Load(file, driver);
                Assert.That(() => Run(detector, batch: 1), Throws.InstanceOf<CudaException>().With.Message.Contains("made up"), $"call {call}");
                Assert.That(() => Run(detector, batch: 1), Throws.Nothing, $"after call {call}");
            }
            catch (CudaException e)
            {
                Assert.That(e.Message, Does.Contain("made up"));
            }
            finally
            {
                detector?.Dispose();
            }

            Assert.That(driver.Live, Is.Zero, $"call {call}");
        }
    }

    [Test]
    public void A_lost_context_makes_the_detector_say_that_it_is_unusable()
    {
        using RandomModel file = RandomModel.VitAd();
        FakeCudaDriver driver = new() { FailCode = CudaResult.IllegalAddress };
        using (AnomalyDetector detector = Load(file, driver))
        {
            Run(detector, batch: 1);
            driver.FailAt = driver.Calls + 4;
            Assert.That(() => Run(detector, batch: 1), Throws.InstanceOf<CudaException>().With.Property(nameof(CudaException.IsContextLost)).True);
            int calls = driver.Calls;
            Assert.That(() => Run(detector, batch: 1), Throws.InstanceOf<DeviceNotAvailableException>().With.Message.Contains("Restart the process"));
            Assert.That(() => Run(detector, batch: 2), Throws.InstanceOf<DeviceNotAvailableException>());
            Assert.That(driver.Calls, Is.EqualTo(calls), "the driver is left alone");
        }

        Assert.That(driver.Live, Is.Zero);
    }

    [Test]
    public void Too_little_memory_for_a_batch_leaves_the_detector_usable()
    {
        using RandomModel file = RandomModel.VitAd();
        FakeCudaDriver driver = new();
        using (AnomalyDetector detector = Load(file, driver))
        {
            Run(detector, batch: 1);
            int live = driver.Live;
            driver.FreeMemory = detector.ActivationBytes;
            Assert.That(() => Run(detector, batch: 64), Throws.InstanceOf<CudaOutOfMemoryException>());
            Assert.That(driver.Live, Is.EqualTo(live));
            Assert.That(() => Run(detector, batch: 1), Throws.Nothing);
        }

        Assert.That(driver.Live, Is.Zero);
    }

    [Test]
    public void The_launches_are_captured_once_and_replayed_with_one_synchronisation()
    {
        using RandomModel file = RandomModel.VitAd();
        FakeCudaDriver driver = new();
        using AnomalyDetector detector = Load(file, driver);
        Run(detector, batch: 1);
        int launches = driver.Counts["Launch"], waits = driver.Counts["Synchronize"], modules = driver.Counts["LoadModule"];
        for (int i = 0; i < 3; i++)
        {
            Run(detector, batch: 1);
        }

        Assert.That(driver.Counts["BeginCapture"], Is.EqualTo(1));
        Assert.That(driver.Counts["Launch"], Is.EqualTo(launches));
        Assert.That(driver.Counts["LoadModule"], Is.EqualTo(modules));
        Assert.That(driver.Counts["LaunchGraph"], Is.EqualTo(4));
        Assert.That(driver.Counts["Synchronize"], Is.EqualTo(waits + 3));
        Assert.That(modules, Is.EqualTo(driver.Launched.Distinct().Count()), "only the kernels in use are loaded");
    }

    [Test]
    public void A_run_allocates_nothing()
    {
        using RandomModel file = RandomModel.VitAd();
        FakeCudaDriver driver = new();
        using AnomalyDetector detector = Load(file, driver);
        float[] input = RandomModel.Input(detector, 1).Data, map = new float[detector.MapWidth * detector.MapHeight], score = new float[1];
        for (int i = 0; i < 50; i++)
        {
            detector.DetectBatch(input, 1, 1, map, score);
        }

        int memory = driver.Counts["AllocateDevice"];
        Assert.That(Allocated(() => detector.DetectBatch(input, 1, 1, map, score)), Is.Zero);
        Assert.That(driver.Counts["AllocateDevice"], Is.EqualTo(memory));
    }

    [Test]
    public void Step_times_are_told_for_every_step()
    {
        using RandomModel file = RandomModel.InTra();
        FakeCudaDriver driver = new();
        using AnomalyDetector detector = Load(file, driver);
        IReadOnlyList<TimeSpan[]> times = detector.Profile(RandomModel.Input(detector, 1).Data, 1, 2);
        Assert.That(times, Has.Count.EqualTo(detector.Steps().Count));
        // The fake's events are a millisecond apart: a step takes one for each of its launches.
        Assert.That(times.Select(t => t[1].TotalMilliseconds), Has.All.GreaterThanOrEqualTo(0.999));
        Assert.That(times.Sum(t => t[1].TotalMilliseconds), Is.EqualTo(driver.Launched.Count / 4.0).Within(0.1), "one capture and three timed runs");
    }

    [Test]
    public void Detectors_of_a_file_share_weights_and_kernels()
    {
        using RandomModel file = RandomModel.VitAd();
        FakeCudaDriver driver = new();
        using AnomalyDetector first = Load(file, driver);
        int memory = driver.Counts["AllocateDevice"];
        using (AnomalyDetector second = Load(file, driver))
        {
            Assert.That(driver.Counts["AllocateDevice"], Is.EqualTo(memory));
            Assert.That(second.WeightBytes, Is.EqualTo(first.WeightBytes));
        }

        Run(first, batch: 1);
        Assert.That(driver.LiveOf("context"), Is.EqualTo(1));
    }

    [TestCase("cuda:1", "has 1 CUDA devices")]
    [TestCase("cuda:x", "is not available")]
    [TestCase("tpu", "is not available")]
    public void A_device_that_is_not_there_is_an_error(string device, string message)
    {
        using RandomModel file = RandomModel.VitAd();
        Assert.That(
            () => AnomalyDetector.Load(file.Path, new DetectorOptions { Device = device, Driver = new FakeCudaDriver() }),
            Throws.InstanceOf<DeviceNotAvailableException>().With.Message.Contains(message));
    }

    [Test]
    public void An_old_architecture_is_an_error_that_names_it_and_auto_takes_the_cpu()
    {
        using RandomModel file = RandomModel.VitAd();
        FakeCudaDriver driver = new(major: 6, minor: 1);
        Assert.That(
            () => AnomalyDetector.Load(file.Path, new DetectorOptions { Device = "cuda", Driver = driver }),
            Throws.InstanceOf<DeviceNotAvailableException>().With.Message.Contains("sm_61").And.Message.Contains("sm_75"));
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path, new DetectorOptions { Device = "auto", Driver = driver });
        Assert.That(detector.Device, Does.StartWith("cpu"));
        Assert.That(driver.Live, Is.Zero);
    }

    [Test]
    public void Auto_takes_a_cuda_device_and_says_so()
    {
        using RandomModel file = RandomModel.VitAd();
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path, new DetectorOptions { Driver = new FakeCudaDriver(), Precision = Precision.Fp16 });
        Assert.That(detector.Device, Is.EqualTo("cuda:0, Fake GPU (sm_80, kernels for sm_80)"));
    }

    [Test]
    public void Tf32_on_Turing_is_an_error()
    {
        using RandomModel file = RandomModel.VitAd();
        Assert.That(
            () => AnomalyDetector.Load(file.Path, new DetectorOptions { Driver = new FakeCudaDriver(7, 5), Precision = Precision.Tf32 }),
            Throws.InstanceOf<DeviceNotAvailableException>().With.Message.Contains("sm_80"));
    }

    [Test]
    public void A_memory_limit_cuts_the_sliced_region_and_a_lower_one_is_an_error()
    {
        using RandomModel file = RandomModel.InTra();
        using AnomalyDetector whole = Load(file, new FakeCudaDriver());
        long limit = whole.WeightBytes + (whole.ActivationBytes / 2);
        using AnomalyDetector cut = AnomalyDetector.Load(file.Path, new DetectorOptions { Driver = new FakeCudaDriver(), MaxMemoryBytes = limit });
        Assert.That(cut.Steps().Max(s => s.Repeats), Is.GreaterThan(1));
        Assert.That(cut.WeightBytes + cut.ActivationBytes, Is.LessThanOrEqualTo(limit));
        Assert.That(
            () => AnomalyDetector.Load(file.Path, new DetectorOptions { Driver = new FakeCudaDriver(), MaxMemoryBytes = 1000 }), Throws.InstanceOf<ConfigurationException>());
    }

    /// <summary>The published depths, pairs and neck; narrow, and on a GPU that is filled without splitting products.</summary>
    [Test]
    public void A_ViTAD_takes_seven_launches_a_block_and_eleven_in_all([Values] Precision precision)
    {
        using RandomModel file = RandomModel.Create("ViTAD", new JsonObject
        {
            ["image"] = new JsonArray(64, 64),
            ["patch"] = 16,
            ["embed_dim"] = 64,
            ["heads"] = 2,
            ["teacher_depth"] = 12,
            ["teachers"] = new JsonArray(3, 6, 9),
            ["neck"] = new JsonArray(12),
            ["student_depth"] = 9,
            ["students"] = new JsonArray(3, 6, 9),
        });
        FakeCudaDriver driver = new(multiprocessors: 1);
        using AnomalyDetector detector = Load(file, driver, precision);
        Run(detector, batch: 1);
        // A product whose K is split, as small ones are, has a second launch that adds the splits.
        Assert.That(driver.Launched.Count(name => name != "linear_reduce"), Is.LessThanOrEqualTo((7 * (12 + 9)) + 11), string.Join("; ", detector.Steps().Select(s => s.Operator).Distinct()));
    }

    internal static AnomalyDetector Load(RandomModel file, FakeCudaDriver driver, Precision precision = Precision.Fp32) =>
        AnomalyDetector.Load(file.Path, new DetectorOptions { Device = "cuda", Driver = driver, Precision = precision });

    private static void Run(AnomalyDetector detector, int batch) => detector.Run(RandomModel.Input(detector, batch), batch: batch);

    private static long Allocated(Action action)
    {
        action();
        long before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
