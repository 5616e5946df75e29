using KernelAD.Tensors;
using KernelAD.Weights;
using static KernelAD.Engine.Tests.Weights.SafetensorsBytes;

namespace KernelAD.Engine.Tests.Weights;

public class SafetensorsFileTests
{
    [Test]
    public void Golden_file_reads_as_written_by_the_reference()
    {
        using SafetensorsFile file = SafetensorsFile.Open(Fixture.File("golden/intra/tiny/io.safetensors"));
        foreach (SafetensorsEntry entry in file.Entries.Values.Where(e => e.Type == ElementType.F32))
        {
            float[] actual = new float[entry.Shape.Count];
            Array.Fill(actual, float.NaN);
            file.ReadFloat32(entry.Name, actual);
            Assert.That(actual, Is.EqualTo(GoldenIo.Read<float>("intra/tiny/io.safetensors", entry.Name)), entry.Name);
        }
    }

    [Test]
    public void Every_type_is_converted([Values] ElementType type)
    {
        // An odd byte in front, so that nothing is aligned.
        double[] values = type is ElementType.Bool ? [0, 1, 1] : type is ElementType.U8 ? [0, 7, 255] : [0, -7, 100];
        byte[] bytes = [.. values.SelectMany(v => Encode(type, v))];
        string name = type.ToString().ToUpperInvariant();
        using TemporaryFolder folder = new();
        string path = folder.Save(SafetensorsBytes.File(
            $"{{{Entry("odd", "U8", "[1]", 0, 1)},{Entry("x", name, "[3]", 1, 1 + bytes.Length)},{Entry("none", name, "[2,0]", 1, 1)},{Entry("scalar", name, "[]", 1 + bytes.Length, 1 + bytes.Length + type.Size())}}} ",
            [9, .. bytes, .. Encode(type, 1)]));
        using SafetensorsFile file = SafetensorsFile.Open(path);
        float[] actual = [float.NaN, float.NaN, float.NaN], scalar = [float.NaN];
        file.ReadFloat32("x", actual);
        file.ReadFloat32("scalar", scalar);
        file.ReadFloat32("none", []);
        Assert.That(actual, Is.EqualTo(values));
        Assert.That(scalar[0], Is.EqualTo(1f));
        byte[] raw = new byte[bytes.Length];
        file.Read("x", raw);
        Assert.That(raw, Is.EqualTo(bytes));
    }

    [TestCase(ElementType.F32)]
    [TestCase(ElementType.F16)]
    [TestCase(ElementType.F64)]
    public void Tensor_of_several_pieces_is_whole(ElementType type)
    {
        int count = (3 << 18) + 17;
        byte[] bytes = [.. Enumerable.Range(0, count).SelectMany(i => Encode(type, i % 2039))];
        using TemporaryFolder folder = new();
        using SafetensorsFile file = SafetensorsFile.Open(
            folder.Save(SafetensorsBytes.File($"{{{Entry("x", type.ToString(), $"[{count}]", 0, bytes.Length)}}}", bytes)));
        float[] actual = new float[count];
        Array.Fill(actual, float.NaN);
        file.ReadFloat32("x", actual);
        Assert.That(actual.Select((v, i) => v == i % 2039 ? -1 : i).Max(), Is.EqualTo(-1));
    }

    [Test]
    public void Metadata_and_empty_files()
    {
        using TemporaryFolder folder = new();
        using (SafetensorsFile file = SafetensorsFile.Open(folder.Save(SafetensorsBytes.File("{\"__metadata__\":{\"a\":\"b\",\"ü\":\"\\u00e9\"}}  "))))
        {
            Assert.That(file.Metadata["a"] + file.Metadata["ü"], Is.EqualTo("bé"));
            Assert.That(file.Entries, Is.Empty);
        }

        using SafetensorsFile empty = SafetensorsFile.Open(folder.Save(SafetensorsBytes.File("{}")));
        Assert.That(empty.Metadata, Is.Empty);
    }

    [TestCase("", "not valid")]
    [TestCase("[]", "JSON object")]
    [TestCase("{", "not valid")]
    [TestCase("{}{}", "not valid")]
    [TestCase("nonsense", "not valid")]
    [TestCase("{\"x\":1}", "object")]
    [TestCase("{\"x\":{}}", "needs")]
    [TestCase("{\"__metadata__\":[]}", "__metadata__")]
    [TestCase("{\"__metadata__\":{\"a\":1}}", "string")]
    [TestCase("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", "twice")]
    [TestCase("{\"__metadata__\":{},\"__metadata__\":{}}", "twice")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "twice")]
    [TestCase("{\"x\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[0,8]}}", "C64")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "shape")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", "shape")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[99999999999],\"data_offsets\":[0,4]}}", "shape")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[2000000000,2000000000,2000000000],\"data_offsets\":[0,4]}}", "larger than any file")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", "more than 16")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", "bytes 4 … 0")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", "data_offsets")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", "more than 2")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,5]}}", "takes 4 bytes")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,20]}}", "holds 16 bytes")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[9223372036854775803,9223372036854775807]}}", "holds 16 bytes")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "cover 8 bytes")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", "gap")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "overlaps")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},\"x\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", "twice")]
    [TestCase("{\"x\":{\"dtype\":\"F32\",\"shape\":[[[[[[[[[[1]]]]]]]]]],\"data_offsets\":[0,16]}}", "integers")]
    [TestCase("{\"\\ud800\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", "not valid")]
    public void Broken_header_is_refused(string header, string message)
    {
        using TemporaryFolder folder = new();
        string path = folder.Save(SafetensorsBytes.File(header, new byte[16]));
        Assert.That(() => SafetensorsFile.Open(path), Throws.TypeOf<ModelFileException>().With.Message.Contains(message).And.Message.Contains(path));
    }

    [Test]
    public void Header_length_that_lies_is_refused_before_anything_is_allocated([Values(0L, 7L, 1000L, 1L << 30, 1L << 40, long.MaxValue, -1L)] long length)
    {
        using TemporaryFolder folder = new();
        byte[] bytes = SafetensorsBytes.File("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 1, 2, 3, 4);
        BitConverter.TryWriteBytes(bytes, length);
        string path = folder.Save(bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(() => SafetensorsFile.Open(path), Throws.TypeOf<ModelFileException>());
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1 << 20));
    }

    [Test]
    public void Damaged_files_end_in_a_typed_error()
    {
        byte[] whole = SafetensorsBytes.File(
            $"{{\"__metadata__\":{{\"k\":\"v\"}},{Entry("a", "F32", "[2,3]", 0, 24)},{Entry("b", "F16", "[5]", 24, 34)},{Entry("c", "I64", "[]", 34, 42)}}}",
            [.. Enumerable.Range(0, 42).Select(i => (byte)i)]);
        using TemporaryFolder folder = new();
        Random random = new(4);
        int refused = 0;
        for (int i = 0; i < 1000; i++)
        {
            byte[] damaged = i < whole.Length ? whole[..i] : [.. whole];
            for (int flips = i < whole.Length ? 0 : random.Next(1, 4); flips > 0; flips--)
            {
                damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
            }

            try
            {
                using SafetensorsFile file = SafetensorsFile.Open(folder.Save(damaged));
                foreach (SafetensorsEntry entry in file.Entries.Values)
                {
                    file.ReadFloat32(entry.Name, new float[entry.Shape.Count]);
                }
            }
            catch (BadInputException)
            {
                refused++;
            }
        }

        Assert.That(refused, Is.GreaterThan(whole.Length));
    }

    [Test]
    public void Missing_files_tensors_and_wrong_lengths()
    {
        using TemporaryFolder folder = new();
        Assert.That(() => SafetensorsFile.Open(folder.File("none")), Throws.TypeOf<ModelFileException>().With.Message.Contains("none"));
        Assert.That(() => SafetensorsFile.Open(folder.Path), Throws.TypeOf<ModelFileException>());
        string path = folder.Save(SafetensorsBytes.File($"{{{Entry("x", "F32", "[1]", 0, 4)}}}", 0, 0, 128, 63));
        using SafetensorsFile file = SafetensorsFile.Open(path);
        Assert.That(() => file.ReadFloat32("y", []), Throws.TypeOf<ModelFileException>().With.Message.Contains("\"y\""));
        Assert.That(() => file.ReadFloat32("x", new float[2]), Throws.ArgumentException);
        Assert.That(() => file.Read("x", new byte[3]), Throws.ArgumentException);
    }

    [Test]
    public void File_cut_while_open_is_noticed()
    {
        using TemporaryFolder folder = new();
        string path = folder.Save(SafetensorsBytes.File($"{{{Entry("x", "F32", "[1000]", 0, 4000)}}}", new byte[4000]));
        using SafetensorsFile file = SafetensorsFile.Open(path);
        using (FileStream stream = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            stream.SetLength(stream.Length - 1);
        }

        Assert.That(() => file.ReadFloat32("x", new float[1000]), Throws.TypeOf<ModelFileException>());
    }

    private static byte[] Encode(ElementType type, double value) => type switch
    {
        ElementType.Bool or ElementType.U8 => [(byte)value],
        ElementType.I8 => [(byte)(sbyte)value],
        ElementType.I16 => BitConverter.GetBytes((short)value),
        ElementType.I32 => BitConverter.GetBytes((int)value),
        ElementType.I64 => BitConverter.GetBytes((long)value),
        ElementType.F16 => BitConverter.GetBytes((Half)value),
        ElementType.BF16 => BitConverter.GetBytes((ushort)(BitConverter.SingleToUInt32Bits((float)value) >> 16)),
        ElementType.F32 => BitConverter.GetBytes((float)value),
        _ => BitConverter.GetBytes(value),
    };
}
