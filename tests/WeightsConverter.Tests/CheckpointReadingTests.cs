using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>What torch.save can write: containers, element types, views, objects beside the tensors.</summary>
public class CheckpointReadingTests
{
    private const string Key = "encoder.layers.0.self_attn.linear_v.weight";

    [Test]
    public void Containers_give_the_same_file([Values("zip", "zip, no folder", "deflated", "legacy")] string container)
    {
        using Workspace w = new(), v = new();
        (TorchFile file, _) = TinyModels.InTra();
        w.Convert(file.Zip(), TinyModels.InTraTold);
        v.Convert(
            container switch
            {
                "legacy" => file.Legacy(),
                "deflated" => file.Zip("some/folders/", CompressionLevel.SmallestSize),
                "zip" => file.Zip("ckpt.pth/", CompressionLevel.NoCompression, ("byteorder", "little"u8.ToArray())),
                _ => file.Zip(""),
            },
            TinyModels.InTraTold);
        Assert.That(Data(v), Is.EqualTo(Data(w)));
        byte[] Data(Workspace x)
        {
            using Weights.SafetensorsFile f = Weights.SafetensorsFile.Open(x.Output);
            return File.ReadAllBytes(x.Output)[(int)f.Entries.Values.Min(e => e.Offset)..];
        }
    }

    [TestCase("HalfStorage", "F16")]
    [TestCase("BFloat16Storage", "BF16")]
    [TestCase("DoubleStorage", "F32")]
    [TestCase("LongStorage", "F32")]
    [TestCase("IntStorage", "F32")]
    [TestCase("ShortStorage", "F32")]
    [TestCase("CharStorage", "F32")]
    [TestCase("ByteStorage", "F32")]
    [TestCase("BoolStorage", "F32")]
    public void Every_element_type_is_read(string storage, string written)
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.InTra();
        Random random = new(5);
        double[] values = [.. Enumerable.Range(0, 16).Select(_ => storage is "ByteStorage" or "BoolStorage" ? random.Next(0, 2) : (double)random.Next(-100, 100))];
        (byte[] bytes, int size) = storage switch
        {
            "HalfStorage" => (Bytes(values, v => (Half)v), 2),
            "BFloat16Storage" => (Bytes(values, v => (ushort)(BitConverter.SingleToUInt32Bits((float)v) >> 16)), 2),
            "DoubleStorage" => (Bytes(values, v => v), 8),
            "LongStorage" => (Bytes(values, v => (long)v), 8),
            "IntStorage" => (Bytes(values, v => (int)v), 4),
            "ShortStorage" => (Bytes(values, v => (short)v), 2),
            "CharStorage" => (Bytes(values, v => (sbyte)v), 1),
            _ => (Bytes(values, v => (byte)v), 1),
        };
        tensors[Key] = file.Add(storage, bytes, size, 4, 4);
        foreach (byte[] container in new[] { file.Zip(), file.Legacy() })
        {
            w.Convert(container, TinyModels.InTraTold);
            Assert.That(w.Read(Key), Is.EqualTo(values));
            using Weights.SafetensorsFile output = Weights.SafetensorsFile.Open(w.Output);
            Assert.That(output.Entries[Key].Type.ToString(), Is.EqualTo(written));
        }

        static byte[] Bytes<T>(double[] values, Func<double, T> convert)
            where T : unmanaged => MemoryMarshal.AsBytes<T>(values.Select(convert).ToArray()).ToArray();
    }

    [Test]
    public void Views_with_strides_and_offsets_and_shared_storages()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.InTra();
        float[] values = [.. Enumerable.Range(0, 100).Select(i => (float)i)];
        View storage = file.Float(values, 100);
        tensors[Key] = storage with { Offset = 7, Shape = [4, 4], Strides = [1, 5] };
        tensors["encoder.layers.0.self_attn.linear.weight"] = storage with { Offset = 50, Shape = [4, 4], Strides = [4, 1] };
        tensors["lin_proj.bias"] = storage with { Offset = 3, Shape = [4], Strides = [25] };
        tensors["encoder.norm.bias"] = storage with { Offset = 99, Shape = [4], Strides = [0] };
        foreach (byte[] container in new[] { file.Zip(), file.Legacy(), file.Zip("x/", CompressionLevel.Fastest) })
        {
            w.Convert(container, TinyModels.InTraTold);
            Assert.That(w.Read(Key), Is.EqualTo(Enumerable.Range(0, 16).Select(i => 7f + (i / 4) + (5 * (i % 4)))));
            Assert.That(w.Read("encoder.layers.0.self_attn.linear.weight"), Is.EqualTo(values[50..66]));
            Assert.That(w.Read("lin_proj.bias"), Is.EqualTo(new float[] { 3, 28, 53, 78 }));
            Assert.That(w.Read("encoder.norm.bias"), Is.EqualTo(new float[] { 99, 99, 99, 99 }));
        }
    }

    [Test]
    public void Objects_beside_the_tensors_are_plain_data()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.InTra();
        object? dtype = new Reduce(new Global("numpy", "dtype"), "f8", false, true);
        object? bytes = new Reduce(new Global("_codecs", "encode"), "\u0000\u0000\u0000\u0000\u0000\u0000\u00f0?", "latin1");
        file.Root = new Dictionary<string, object?>
        {
            ["epoch"] = 7,
            ["best"] = new Reduce(new Global("numpy.core.multiarray", "scalar"), dtype, bytes),
            ["again"] = new Reduce(new Global("numpy._core.multiarray", "scalar"), dtype, bytes),
            ["size"] = new Reduce(new Global("torch", "Size"), (object)new object?[] { 1, 2 }),
            ["device"] = new Reduce(new Global("torch", "device"), "cuda", 0),
            ["dtype"] = new Global("torch", "float32"),
            ["path"] = new Reduce(new Global("pathlib", "PosixPath"), "/", "data"),
            ["set"] = new Reduce(new Global("__builtin__", "set"), new List<object?> { 1, 2 }),
            ["default"] = new Reduce(new Global("collections", "defaultdict"), new Global("__builtin__", "list")),

            // EasyDict() with items and, by BUILD, attributes; Namespace() with attributes only.
            ["arch"] = new Raw([.. "ceasydict\nEasyDict\n)"u8, 0x81, .. "(U\u0001aK\u0001u}(U\u0001aK\u0001ub"u8]),
            ["args"] = new Raw([.. "cargparse\nNamespace\n)R}(U\u0002lrK\u0001ub"u8]),
            ["optimizer"] = new Dictionary<string, object?> { ["state"] = new Dictionary<string, object?> { ["exp_avg"] = file.Float([1], 1), ["step"] = file.Float([3]) } },
            ["empty"] = file.Float([], 0, 5),
            ["state_dict"] = tensors,
        };
        w.Convert(file.Zip(), TinyModels.InTraTold);
        w.Convert(file.Legacy(), TinyModels.InTraTold);
        Assert.That(w.Read("lin_proj.bias"), Has.Length.EqualTo(4));
    }

    [Test]
    public void Parameters_are_tensors()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.InTra();
        tensors["lin_proj.bias"] = new Reduce(new Global("torch._utils", "_rebuild_parameter"), file.Float([1, 2, 3, 4], 4), true, null);
        w.Convert(file.Zip(), TinyModels.InTraTold);
        Assert.That(w.Read("lin_proj.bias"), Is.EqualTo(new float[] { 1, 2, 3, 4 }));
    }

    [Test]
    public void Values_larger_than_a_piece_survive()
    {
        // The global position table has 300² rows of 4: several pieces, and the last is not full.
        using Workspace w = new();
        System.Text.Json.Nodes.JsonObject config = TinyModels.InTraConfig;
        config["grid_max"] = 300;
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.Checkpoint("InTra", config);
        float[] values = TinyModels.Values(new Random(9), 300 * 300 * 4);
        tensors["pos_embedding_glb"] = file.Float(values, 4, 90000) with { Shape = [1, 90000, 4], Strides = [360000, 1, 90000] };
        w.Convert(file.Zip(), config);
        Assert.That(w.Read("pos_embedding_glb"), Is.EqualTo(Enumerable.Range(0, 360000).Select(i => values[(i % 4 * 90000) + (i / 4)])));
        Assert.That(Encoding.ASCII.GetString(File.ReadAllBytes(w.Output)[8..9]), Is.EqualTo("{"));
    }
}
