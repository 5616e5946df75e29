using System.Text.Json.Nodes;
using KernelAD.Backends.Cpu;
using KernelAD.Models;
using KernelAD.Preprocessing;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Engine.Tests;

/// <summary>What a service does to a detector sooner or later: hostile files, absurd sizes, files replaced and detectors disposed while in use.</summary>
public sealed class RobustnessTests
{
    [Test]
    public void A_file_replaced_while_its_detector_lives_is_read_anew([Values] bool inPlace)
    {
        using RandomModel file = RandomModel.VitAd(), other = RandomModel.VitAd();
        using AnomalyDetector first = AnomalyDetector.Load(file.Path);
        Tensor input = RandomModel.Input(first, 1);
        float[] before = first.Run(input)["anomaly_map"].Data;

        // The last floats of the file change; length and, unless it is written over, time stay.
        DateTime time = File.GetLastWriteTimeUtc(file.Path);
        byte[] bytes = File.ReadAllBytes(other.Path);
        for (int i = 1; i <= 400; i++)
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(bytes.Length - (4 * i)), 0.25f * (i % 7));
        }

        if (inPlace)
        {
            File.WriteAllBytes(file.Path, bytes);
            File.SetLastWriteTimeUtc(file.Path, time.AddSeconds(1));
        }
        else
        {
            File.WriteAllBytes(other.Path, bytes);
            File.SetLastWriteTimeUtc(other.Path, time);
            File.Move(other.Path, file.Path, overwrite: true);
        }

        using AnomalyDetector second = AnomalyDetector.Load(file.Path);
        Assert.That(second.Run(input)["anomaly_map"].Data, Is.Not.EqualTo(before));
        Assert.That(first.Run(input)["anomaly_map"].Data, Is.EqualTo(before));
    }

    [Test]
    public void Disposal_waits_for_calls_and_refuses_later_ones()
    {
        using RandomModel file = RandomModel.VitAd();
        for (int round = 0; round < 20; round++)
        {
            AnomalyDetector detector = AnomalyDetector.Load(file.Path, new DetectorOptions { MaxConcurrency = 2 });
            Tensor input = RandomModel.Input(detector, 2);
            float[] expected = detector.Run(input)["anomaly_map"].Data;
            Task[] calls = [.. Enumerable.Range(0, 5).Select(i => Task.Run(() =>
            {
                while (true)
                {
                    Assert.That(detector.Run(input, batch: 1 + (i % 2))["anomaly_map"].Data, Is.EqualTo(expected));
                }
            }))];
            Thread.Sleep(round);
            detector.Dispose();
            Assert.That(Task.WhenAll(calls).Wait, Throws.TypeOf<AggregateException>());
            Assert.That(calls.Select(c => c.Exception!.InnerException), Has.All.TypeOf<ObjectDisposedException>());
        }
    }

    [TestCase("ViTAD", "gaussian_sigma", "1e300")]
    [TestCase("ViTAD", "gaussian_sigma", "1e-200")]
    [TestCase("ViTAD", "gaussian_truncate", "1e9")]
    [TestCase("ViTAD", "layernorm_eps", "1e-60")]
    [TestCase("ViTAD", "layernorm_eps", "1e999")]
    [TestCase("ViTAD", "image_score_avgpool", "0")]
    [TestCase("ViTAD", "\\ud800", "1")]
    [TestCase("InTra", "blur_sigma", "1e-200")]
    [TestCase("InTra", "map", "\"\\ud800\"")]
    public void A_hostile_configuration_is_a_typed_error(string model, string key, string value)
    {
        using RandomModel file = model == "InTra" ? RandomModel.InTra() : RandomModel.VitAd();
        Rewrite(file.Path, config => "{\"" + key + "\":" + value + "," + WithoutKey(config, key)[1..]);
        Assert.That(() => AnomalyDetector.Load(file.Path), Throws.InstanceOf<BadInputException>().With.Message.Contains(file.Path));
    }

    [Test]
    public void Windows_beyond_memory_are_a_configuration_error()
    {
        JsonObject config = new()
        {
            ["image_h"] = 16384,
            ["image_w"] = 16384,
            ["K"] = 1,
            ["L"] = 64,
            ["N"] = 1,
            ["h"] = 1,
            ["d_model"] = 2,
            ["grid_max"] = 1,
            ["position"] = "local",
        };
        Assert.That(() => ModelRegistry.Create("InTra", config), Throws.TypeOf<ConfigurationException>().With.Message.Contains("\"L\""));
    }

    [Test]
    public void Memory_that_cannot_be_had_is_a_typed_error()
    {
        Assert.That(() => new AlignedMemory(1L << 62), Throws.TypeOf<NotEnoughMemoryException>());
    }

    [Test]
    public void An_absurd_batch_is_refused()
    {
        using RandomModel file = RandomModel.InTra();
        using AnomalyDetector detector = AnomalyDetector.Load(file.Path);
        Tensor input = RandomModel.Input(detector, 1);
        Assert.That(() => detector.Run(input, batch: int.MaxValue), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => detector.Run(input, ["sel.block0.out"], batch: 500_000), Throws.TypeOf<TensorException>());
        Assert.That(() => detector.Run(input, batch: 900_000), Throws.TypeOf<ConfigurationException>().With.Message.Contains("memory"));
    }

    [Test]
    public void A_picture_whose_shrinking_takes_a_huge_ring_is_refused()
    {
        Assert.That(
            () => PillowResampler.Resize(new PictureView(new byte[65535], 1, 65535, PixelFormat.Gray8), 16384, 1, Interpolation.Bilinear, new byte[3 * 16384]),
            Throws.TypeOf<BadInputException>());
    }

    private static string WithoutKey(string config, string key)
    {
        JsonObject o = JsonNode.Parse(config)!.AsObject();
        o.Remove(key);
        return o.ToJsonString();
    }

    /// <summary>Replaces the configuration in a model file's metadata.</summary>
    private static void Rewrite(string path, Func<string, string> change)
    {
        List<TensorSource> tensors = [];
        Dictionary<string, string> metadata;
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            foreach (SafetensorsEntry entry in file.Entries.Values)
            {
                Tensor tensor = new(entry.Shape);
                file.ReadFloat32(entry.Name, tensor.Data);
                tensors.Add(TensorSource.Of(entry.Name, tensor));
            }

            metadata = new(file.Metadata);
        }

        metadata["kernelad.config"] = change(metadata["kernelad.config"]);
        SafetensorsWriter.Write(path, tensors, metadata, CancellationToken.None);
    }
}
