using System.Buffers.Binary;

namespace KernelAD.WeightsConverter.Archives;

/// <summary>Recognises files that are not PyTorch checkpoints but are given as such, and says what to do about them.</summary>
internal static class ForeignFormats
{
    /// <summary>A sentence about a file that begins with these bytes.</summary>
    /// <param name="head">The file's first bytes, up to 512.</param>
    public static string Describe(ReadOnlySpan<byte> head)
    {
        const string Ask = "Give the .pth, .pt or .tar file that torch.save wrote.";
        if (head.Length == 0)
        {
            return "the file is empty. Copy or download it again.";
        }

        if (head.StartsWith("version https://git-lfs"u8))
        {
            return "this is a Git LFS pointer, not the file itself. Run `git lfs pull` to get it.";
        }

        ReadOnlySpan<byte> text = head.TrimStart(" \t\r\n\xEF\xBB\xBF"u8);
        if (text.StartsWith("<"u8))
        {
            return "this is a web page, not a checkpoint: a download that needed a login or a confirmation. Download it in a browser.";
        }

        if (head.StartsWith("\x89HDF"u8) || head is [0x89, (byte)'H', (byte)'D', (byte)'F', ..])
        {
            return "this is an HDF5 file (Keras?), not a PyTorch checkpoint. " + Ask;
        }

        if (head.Length > 9 && BinaryPrimitives.ReadUInt64LittleEndian(head) is > 1 and < 100_000_000 && head[8] == (byte)'{')
        {
            return "this is a safetensors file, not a PyTorch checkpoint. If `kernelad convert` wrote it, use it as it is; otherwise give the file that torch.save wrote.";
        }

        if (head.Length > 262 && head.Slice(257, 5).SequenceEqual("ustar"u8))
        {
            return "this is a tar archive: either an archive with files in it, to be unpacked first, or a checkpoint of a PyTorch before 0.1.10, to be loaded and saved again with a newer one.";
        }

        if (head is [0x1f, 0x8b, ..] or [(byte)'B', (byte)'Z', (byte)'h', ..] or [0xfd, (byte)'7', (byte)'z', ..] or [(byte)'7', (byte)'z', 0xbc, ..] or [0x28, 0xb5, 0x2f, 0xfd, ..])
        {
            return "this is a compressed file. Unpack it first.";
        }

        if (head is [0x93, (byte)'N', (byte)'U', (byte)'M', ..])
        {
            return "this is a NumPy array, not a PyTorch checkpoint. Save it with torch.save.";
        }

        if (head is [(byte)'G', (byte)'G', (byte)'U', (byte)'F', ..])
        {
            return "this is a GGUF file, not a PyTorch checkpoint. " + Ask;
        }

        // An ONNX model is a protobuf message that begins with ir_version (field 1, a small number) and a producer (field 2) or its neighbours.
        if (head is [0x08, > 0 and < 32, 0x12 or 0x1a or 0x3a or 0x42, ..])
        {
            return "this is an ONNX model, not a PyTorch checkpoint. " + Ask;
        }

        return "this is not a PyTorch checkpoint: neither a zip archive nor the format before PyTorch 1.6. " + Ask;
    }

    /// <summary>What a zip archive without a data.pkl is.</summary>
    public static string DescribeZip(IReadOnlyCollection<string> names)
    {
        if (names.Any(n => n.EndsWith(".npy", StringComparison.Ordinal)))
        {
            return "this is a NumPy .npz archive, not a PyTorch checkpoint. Save the weights with torch.save.";
        }

        string? inside = names.FirstOrDefault(n =>
            n.EndsWith(".pth", StringComparison.Ordinal) || n.EndsWith(".pt", StringComparison.Ordinal) || n.EndsWith(".tar", StringComparison.Ordinal));
        return inside is not null
            ? $"this is a zip archive that holds a checkpoint, \"{inside}\". Unpack it first."
            : "this is a zip archive, but not a PyTorch checkpoint: it has no data.pkl. Give the file that torch.save wrote.";
    }
}
