using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>Files made to do harm end in a typed error, having allocated little and executed nothing.</summary>
public class HostileFileTests
{
    private const long MaxAllocation = 300L << 20;

    [TestCase("os", "system")]
    [TestCase("posix", "system")]
    [TestCase("builtins", "eval")]
    [TestCase("__builtin__", "getattr")]
    [TestCase("subprocess", "Popen")]
    [TestCase("torch", "load")]
    [TestCase("torch.hub", "load")]
    [TestCase("numpy.testing._private.utils", "runstring")]
    public void Unknown_global_is_named_and_not_called(string module, string name)
    {
        using Workspace w = new();
        TorchFile file = new() { Root = new Dictionary<string, object?> { ["state_dict"] = new Reduce(new Global(module, name), "echo pwned") } };
        Assert.That(w.Fails(file.Zip()).Message, Does.Contain($"\"{module}.{name}\"").And.Contain("nothing was executed"));
        Assert.That(w.Fails(file.Legacy()).Message, Does.Contain($"\"{module}.{name}\""));
        file.Root = new Raw([0x8c, (byte)module.Length, .. Encoding.ASCII.GetBytes(module), 0x8c, (byte)name.Length, .. Encoding.ASCII.GetBytes(name), 0x93]);
        Assert.That(w.Fails(file.Zip()).Message, Does.Contain($"\"{module}.{name}\""), "STACK_GLOBAL");
    }

    [Test]
    public void Strange_pickles_end_in_a_typed_error([Values] StrangePickle kind)
    {
        byte[] root = kind switch
        {
            StrangePickle.NestedLists => [.. Enumerable.Repeat((byte)']', 1_000_000), .. Enumerable.Repeat((byte)'a', 999_999)],
            StrangePickle.NestedTuples => [(byte)'N', .. Enumerable.Repeat((byte)0x85, 1_000_000)],
            StrangePickle.NestedDictionaries => [.. Enumerable.Repeat("}K\u0001"u8.ToArray(), 300_000).SelectMany(b => b), (byte)'N', .. Enumerable.Repeat((byte)'s', 300_000)],
            StrangePickle.ListInItself => [.. "]q\u0001h\u0001a"u8],
            StrangePickle.DictionaryInItself => [.. "}q\u0001X\u0003\0\0\0neth\u0001s"u8],
            StrangePickle.ObjectIsItsOwnState => [.. "ceasydict\nEasyDict\n)Rq\u0001h\u0001b"u8],
            StrangePickle.Laughs => Laughs(),
            StrangePickle.CopiedLaughs => CopiedLaughs(),
            StrangePickle.ManyMarks => [.. Enumerable.Repeat((byte)'(', 10_000_000)],
            StrangePickle.ManyValues => [.. Enumerable.Repeat((byte)'}', 10_000_000)],
            StrangePickle.HugeText => [(byte)'X', 0xff, 0xff, 0xff, 0xff],
            StrangePickle.HugeText8 => [0x8d, .. Enumerable.Repeat((byte)0xff, 8)],
            StrangePickle.HugeFrame => [0x95, .. Enumerable.Repeat((byte)0x7f, 8)],
            StrangePickle.HugeInteger => [0x8b, 0xff, 0xff, 0xff, 0x7f],
            StrangePickle.LongInteger => [(byte)'I', .. Enumerable.Repeat((byte)'9', 1_000_000), (byte)'\n'],
            StrangePickle.PopBelowMark => [.. "N(0"u8, (byte)'0', (byte)'0'],
            StrangePickle.TupleWithoutMark => [(byte)'t'],
            StrangePickle.UnknownInstruction => [0xff],
            StrangePickle.Extension => [0x82, 1],
            StrangePickle.UnknownMemo => [(byte)'h', 9],
            StrangePickle.CallOfText => [.. "U\u0001a)R"u8],
            StrangePickle.BadUtf8 => [(byte)'X', 1, 0, 0, 0, 0xff],
            StrangePickle.StorageOfNothing => [.. "(U\u0007storageNNNNtQ"u8],
            StrangePickle.StorageNotATuple => [.. "NQ"u8],
            StrangePickle.Module => [.. "(U\u0006moduleNNtQ"u8],
            _ => throw new ArgumentOutOfRangeException(nameof(kind)),
        };
        using Workspace w = new();
        TorchFile file = new() { Root = new Raw(root) };
        foreach (byte[] container in new[] { file.Zip(), file.Legacy() })
        {
            string path = w.Save(container);
            long before = GC.GetAllocatedBytesForCurrentThread();
            w.Fails([path]);
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(MaxAllocation));
        }
    }

    public enum StrangePickle
    {
        NestedLists,
        NestedTuples,
        NestedDictionaries,
        ListInItself,
        DictionaryInItself,
        ObjectIsItsOwnState,
        Laughs,
        CopiedLaughs,
        ManyMarks,
        ManyValues,
        HugeText,
        HugeText8,
        HugeFrame,
        HugeInteger,
        LongInteger,
        PopBelowMark,
        TupleWithoutMark,
        UnknownInstruction,
        Extension,
        UnknownMemo,
        CallOfText,
        BadUtf8,
        StorageOfNothing,
        StorageNotATuple,
        Module,
    }

    /// <summary>Each tuple holds the one before three times: 3⁶⁰ leaves for whoever walks it.</summary>
    private static byte[] Laughs()
    {
        List<byte> pickle = [.. ")q\u0000"u8];
        for (byte level = 1; level < 60; level++)
        {
            pickle.AddRange([(byte)'h', (byte)(level - 1), (byte)'h', (byte)(level - 1), (byte)'h', (byte)(level - 1), 0x87, (byte)'q', level]);
        }

        return [.. pickle];
    }

    /// <summary>A list is copied into new lists ever again.</summary>
    private static byte[] CopiedLaughs() =>
    [
        .. "]("u8, .. Enumerable.Repeat((byte)'N', 100_000), .. "eq\0"u8,
        .. Enumerable.Repeat<byte[]>([.. "0cbuiltins\nlist\nh\0"u8, 0x85, (byte)'R'], 1000).SelectMany(b => b),
    ];

    [TestCase(-1, 4, 1)]
    [TestCase(0, -4, 1)]
    [TestCase(0, 4, -1)]
    [TestCase(1, 4, 1)]
    [TestCase(0, 5, 1)]
    [TestCase(0, 4, 2)]
    [TestCase(long.MaxValue, 4, 1)]
    [TestCase(0, long.MaxValue, 1)]
    [TestCase(0, 4, long.MaxValue)]
    public void View_outside_its_storage_is_named(long offset, long size, long stride)
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.InTra();
        tensors["lin_proj.bias"] = file.Float([1, 2, 3, 4], 4) with { Offset = offset, Shape = [size], Strides = [stride] };
        Assert.That(w.Fails(file.Zip(), TinyModels.InTraTold).Message, Does.Contain("\"lin_proj.bias\""));
        Assert.That(w.Fails(file.Legacy(), TinyModels.InTraTold).Message, Does.Contain("\"lin_proj.bias\""));
    }

    [TestCase(-1)]
    [TestCase(3)]
    [TestCase(5)]
    [TestCase(1L << 31)]
    [TestCase(long.MaxValue)]
    public void Storage_that_is_not_as_long_as_it_says(long count)
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.InTra();
        View view = file.Float([1, 2, 3, 4], 4);
        tensors["lin_proj.bias"] = view with { Count = count, Shape = [3], Strides = [1] };
        Assert.That(w.Fails(file.Zip(), TinyModels.InTraTold).Message, Does.Contain(".pth"));
        Assert.That(w.Fails(file.Legacy(), TinyModels.InTraTold).Message, Does.Contain(".pth"));
    }

    [Test]
    public void Views_that_repeat_a_few_values_do_not_fill_the_disk()
    {
        using Workspace w = new();
        System.Text.Json.Nodes.JsonObject config = TinyModels.InTraConfig;
        config["grid_max"] = 1024;
        config["d_model"] = 64;
        TorchFile file = new();
        file.Root = Models.ModelRegistry.Create("InTra", config).Tensors.Where(t => !t.Optional).ToDictionary(
            t => t.Name,
            t => (object?)(file.Float([0.5f], 1) with { Shape = [.. t.Shape.Extents.ToArray().Select(e => (long)e)], Strides = new long[t.Shape.Rank] }));
        Assert.That(w.Fails(file.Zip(), config).Message, Does.Contain("repeat the same values"));
    }

    [TestCase(float.NaN)]
    [TestCase(float.PositiveInfinity)]
    [TestCase(float.NegativeInfinity)]
    public void Used_weight_that_is_not_finite_is_named_with_its_index(float value)
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.InTra();
        tensors["lin_proj.bias"] = file.Float([1, 2, value, 4], 4);
        Assert.That(w.Fails(file.Zip(), TinyModels.InTraTold).Message, Does.Contain("\"lin_proj.bias\"").And.Contain("index 2"));
        tensors["lin_proj.bias"] = file.Float([1, 2, 3, 4], 4);
        tensors["self_attn.linear.bias"] = file.Float([value], 1);
        Assert.That(w.Convert(file.Zip(), TinyModels.InTraTold).SkippedKeys, Has.Count.EqualTo(1), "an unused weight may be anything");
    }

    [Test]
    public void Double_beyond_single_precision_is_named()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.InTra();
        tensors["lin_proj.bias"] = file.Add("DoubleStorage", [.. BitConverter.GetBytes(1e300), .. new byte[24]], 8, 4);
        Assert.That(w.Fails(file.Zip(), TinyModels.InTraTold).Message, Does.Contain("\"lin_proj.bias\""));
    }

    [Test]
    public void Complex_weight_is_an_error_only_where_it_is_used()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.InTra();
        tensors["self_attn.x"] = file.Add("ComplexFloatStorage", new byte[32], 8, 4);
        w.Convert(file.Zip(), TinyModels.InTraTold);
        File.Delete(w.Output);
        tensors["lin_proj.bias"] = file.Add("ComplexFloatStorage", new byte[32], 8, 4);
        Assert.That(w.Fails(file.Zip(), TinyModels.InTraTold).Message, Does.Contain("ComplexFloat"));
    }

    [Test]
    public void Zip_bomb_is_not_inflated()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.InTra();
        tensors["self_attn.bomb"] = file.Add("ByteStorage", new byte[200 << 20], 1, 200 << 20);
        string path = w.Save(file.Zip(compression: CompressionLevel.SmallestSize));
        Assert.That(new FileInfo(path).Length, Is.LessThan(1 << 20));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(w.Fails([path], TinyModels.InTraTold).Message, Does.Contain("decompress"));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(4 << 20));
    }

    [Test]
    public void Zip_whose_entry_holds_more_than_it_claims()
    {
        // The central directory's sizes of the compressed pickle are lowered; what the stream yields is more.
        using Workspace w = new();
        (TorchFile file, _) = TinyModels.InTra();
        byte[] zip = file.Zip(compression: CompressionLevel.SmallestSize);
        int entry = zip.AsSpan().IndexOf("PK\u0001\u0002"u8);
        BinaryPrimitives.WriteInt32LittleEndian(zip.AsSpan(entry + 24), 50);
        Assert.That(w.Fails(zip, TinyModels.InTraTold).Message, Does.Contain("damaged"));
    }

    [Test]
    public void Changed_byte_in_a_weight_is_found_by_the_checksum()
    {
        using Workspace w = new();
        (TorchFile file, Dictionary<string, object?> tensors) = TinyModels.InTra();
        byte[] marker = [1, 2, 3, 60, 5, 6, 7, 60, 9, 10, 11, 60, 13, 14, 15, 60];
        tensors["lin_proj.bias"] = file.Add("FloatStorage", marker, 4, 4);
        byte[] zip = file.Zip();
        zip[zip.AsSpan().IndexOf(marker) + 1] ^= 1;
        Assert.That(w.Fails(zip, TinyModels.InTraTold).Message, Does.Contain("checksum"));
    }

    [TestCase("", "empty")]
    [TestCase("<!DOCTYPE html><html>", "web page")]
    [TestCase("\n <html>", "web page")]
    [TestCase("version https://git-lfs.github.com/spec/v1\noid", "Git LFS")]
    [TestCase("GGUF1234", "GGUF")]
    [TestCase("BZh91AY", "compressed")]
    [TestCase("hello", "not a PyTorch checkpoint")]
    public void Foreign_text_is_called_what_it_is(string content, string message)
    {
        using Workspace w = new();
        Assert.That(w.Fails(Encoding.UTF8.GetBytes(content)).Message, Does.Contain(message));
    }

    [Test]
    public void Foreign_binaries_are_called_what_they_are()
    {
        using Workspace w = new();
        byte[] tar = new byte[1024];
        "ustar"u8.CopyTo(tar.AsSpan(257));
        Assert.That(w.Fails(tar).Message, Does.Contain("tar archive"));
        Assert.That(w.Fails([0x89, (byte)'H', (byte)'D', (byte)'F', 13, 10, 26, 10]).Message, Does.Contain("HDF5"));
        Assert.That(w.Fails([0x1f, 0x8b, 8, 0]).Message, Does.Contain("compressed"));
        Assert.That(w.Fails([0x93, .. "NUMPY"u8]).Message, Does.Contain("NumPy"));
        Assert.That(w.Fails([8, 7, 0x12, 7, .. "pytorch"u8]).Message, Does.Contain("ONNX"));
        Assert.That(w.Fails(TorchFile.Pickle(1L)).Message, Does.Contain("torch.save did not write it"));
        Assert.That(w.Fails(Archive("model.json", "weights.npy")).Message, Does.Contain("NumPy"));
        Assert.That(w.Fails(Archive("folder/net.pth")).Message, Does.Contain("Unpack it first"));
        Assert.That(w.Fails(Archive("word/document.xml")).Message, Does.Contain("no data.pkl"));
        Assert.That(w.Fails(Archive("a/data.pkl", "b/data.pkl")).Message, Does.Contain("several checkpoints"));
        Assert.That(w.Fails(Archive("a/data.pkl", "a/constants.pkl", "a/code/model.py")).Message, Does.Contain("TorchScript"));
        TorchFile big = new() { Root = null };
        Assert.That(w.Fails(big.Zip("a/", CompressionLevel.NoCompression, ("byteorder", "big"u8.ToArray()))).Message, Does.Contain("big-endian"));
        static byte[] Archive(params string[] names)
        {
            using MemoryStream file = new();
            using (ZipArchive zip = new(file, ZipArchiveMode.Create, leaveOpen: true))
            {
                Array.ForEach(names, n => zip.CreateEntry(n));
            }

            return file.ToArray();
        }
    }

    [Test]
    public void Missing_and_unreadable_files()
    {
        using Workspace w = new();
        Assert.That(w.Fails([Path.Combine(w.Folder, "none.pth")]).Message, Does.Contain("none.pth"));
        Assert.That(w.Fails([w.Folder]).Message, Does.Contain(w.Folder));
    }

    [Test]
    public void Output_that_cannot_be_written_leaves_nothing()
    {
        using Workspace w = new();
        (TorchFile file, _) = TinyModels.InTra();
        string checkpoint = w.Save(file.Zip());
        ConversionOptions options = new() { Told = TinyModels.InTraTold };
        string folder = Path.Combine(w.Folder, "missing");
        Assert.That(
            () => CheckpointConverter.Convert([checkpoint], Path.Combine(folder, "out.safetensors"), options),
            Throws.TypeOf<Weights.OutputException>().With.Message.Contains(folder));
        Directory.CreateDirectory(w.Output);
        Assert.That(() => CheckpointConverter.Convert([checkpoint], w.Output, options), Throws.TypeOf<Weights.OutputException>(), "the name is a folder's");
        Assert.That(Directory.GetFiles(w.Folder), Is.EqualTo(new[] { checkpoint }));
        Assert.That(() => CheckpointConverter.Convert([checkpoint], checkpoint, options), Throws.TypeOf<Weights.OutputException>().With.Message.Contains("replace"));
    }

    [Test]
    public void Cancelled_conversion_leaves_nothing()
    {
        using Workspace w = new();
        (TorchFile file, _) = TinyModels.InTra();
        string checkpoint = w.Save(file.Zip());
        using CancellationTokenSource source = new();
        source.Cancel();
        Assert.That(
            () => CheckpointConverter.Convert([checkpoint], w.Output, new ConversionOptions { Told = TinyModels.InTraTold, Cancellation = source.Token }),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(Directory.GetFiles(w.Folder), Is.EqualTo(new[] { checkpoint }));
    }
}
