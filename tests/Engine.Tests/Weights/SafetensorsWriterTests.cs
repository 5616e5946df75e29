using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Engine.Tests.Weights;

public class SafetensorsWriterTests
{
    private static readonly Dictionary<string, string> Metadata = new() { ["z"] = "1", ["a"] = "\"quoted\" and ü" };

    [Test]
    public void What_is_written_is_read()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("x.safetensors");
        float[] values = [.. Enumerable.Range(0, 63).Select(i => i / 7f)];
        TensorSource[] tensors =
        [
            new("bytes", ElementType.U8, new Shape(3), s => s.Write([1, 2, 3])),
            TensorSource.Of("floats", new Tensor(new Shape(7, 9), values)),
            new("half", ElementType.F16, new Shape(), s => s.Write(BitConverter.GetBytes((Half)0.5))),
            new("nothing", ElementType.F32, new Shape(0, 4), _ => { }),
        ];
        SafetensorsWriter.Write(path, tensors, Metadata);
        byte[] first = File.ReadAllBytes(path);
        SafetensorsWriter.Write(path, tensors, Metadata.Reverse().ToDictionary());
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(first), "equal input, equal bytes");
        Assert.That(BitConverter.ToInt64(first) % 8, Is.Zero);
        Assert.That(Directory.GetFiles(folder.Path), Has.Length.EqualTo(1));

        using SafetensorsFile file = SafetensorsFile.Open(path);
        Assert.That(file.Metadata, Is.EqualTo(Metadata));
        float[] floats = new float[63], half = new float[1], bytes = new float[3];
        file.ReadFloat32("floats", floats);
        file.ReadFloat32("half", half);
        file.ReadFloat32("bytes", bytes);
        Assert.That(floats, Is.EqualTo(values));
        Assert.That(half[0], Is.EqualTo(0.5f));
        Assert.That(bytes, Is.EqualTo(new float[] { 1, 2, 3 }));
        Assert.That(file.Entries.Values.All(e => e.Offset % e.Type.Size() == 0), "wider types first keep all aligned");
    }

    [Test]
    public void Full_disk_leaves_the_old_file_and_no_temporary()
    {
        using TemporaryFolder folder = new();
        string path = folder.Save([1, 2, 3]);
        TensorSource[] tensors = [TensorSource.Of("x", new Tensor(new Shape(100_000)))];
        Assert.That(
            () => SafetensorsWriter.Write(path, tensors, Metadata, p => new FullDisk(p, 300_000), default),
            Throws.TypeOf<OutputException>().With.Message.Contains("No space left").And.Message.Contains(path));
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(new byte[] { 1, 2, 3 }));
        Assert.That(Directory.GetFiles(folder.Path), Has.Length.EqualTo(1));
    }

    [Test]
    public void Source_that_fails_or_writes_too_little_leaves_nothing()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("x.safetensors");
        TensorSource bad = new("x", ElementType.F32, new Shape(4), _ => throw new TensorException("no good"));
        Assert.That(() => SafetensorsWriter.Write(path, [bad], Metadata), Throws.TypeOf<TensorException>());
        Assert.That(() => SafetensorsWriter.Write(path, [bad with { Write = s => s.Write([1]) }], Metadata), Throws.InvalidOperationException.With.Message.Contains("\"x\""));
        Assert.That(Directory.GetFiles(folder.Path), Is.Empty);
    }

    [Test]
    public void Missing_folder_is_a_typed_error()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("none/x.safetensors");
        Assert.That(() => SafetensorsWriter.Write(path, [], Metadata), Throws.TypeOf<OutputException>().With.Message.Contains(path));
    }

    /// <summary>A file on a disk with little space.</summary>
    private sealed class FullDisk(string path, long space) : FileStream(path, FileMode.CreateNew)
    {
        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (Length + buffer.Length > space)
            {
                throw new IOException("No space left on device");
            }

            base.Write(buffer);
            Flush();
        }
    }
}
