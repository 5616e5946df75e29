using System.Buffers.Binary;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>A tensor to be pickled: a view of a storage.</summary>
internal sealed record View(string Storage, string Class, long Count, long Offset, long[] Shape, long[] Strides);

/// <summary>Instructions to be copied into a pickle as they are; they must push one value.</summary>
internal sealed record Raw(params byte[] Bytes);

/// <summary>A global to be pickled.</summary>
internal sealed record Global(string Module, string Name);

/// <summary>A call of a global, to be pickled as REDUCE.</summary>
internal sealed record Reduce(Global Callee, params object?[] Arguments);

/// <summary>
/// Writes the files that torch.save writes, and such as it never would: a pickle of protocol 2 and storages, in a zip archive or in the format before PyTorch
/// 1.6.
/// </summary>
internal sealed class TorchFile
{
    private readonly Dictionary<string, (string Class, byte[] Bytes)> _storages = [];

    /// <summary>What is pickled.</summary>
    public object? Root { get; set; }

    /// <summary>Adds a storage of floats and returns a contiguous view of it.</summary>
    public View Float(float[] values, params long[] shape) => Add("FloatStorage", MemoryMarshal.AsBytes<float>(values).ToArray(), 4, shape);

    /// <summary>Adds a storage and returns a contiguous view of it.</summary>
    public View Add(string @class, byte[] bytes, int elementSize, params long[] shape)
    {
        string key = _storages.Count.ToString(System.Globalization.CultureInfo.InvariantCulture);
        _storages.Add(key, (@class, bytes));
        long[] strides = new long[shape.Length];
        long stride = 1;
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            strides[i] = stride;
            stride *= shape[i];
        }

        return new View(key, @class, bytes.Length / elementSize, 0, shape, strides);
    }

    /// <summary>The zip archive.</summary>
    public byte[] Zip(string folder = "archive/", CompressionLevel compression = CompressionLevel.NoCompression, params (string Name, byte[] Content)[] more)
    {
        using MemoryStream file = new();
        using (ZipArchive zip = new(file, ZipArchiveMode.Create, leaveOpen: true))
        {
            Write("data.pkl", Pickle(Root, legacy: false));
            foreach ((string key, (_, byte[] bytes)) in _storages)
            {
                Write("data/" + key, bytes);
            }

            Write("version", "3\n"u8.ToArray());
            foreach ((string name, byte[] content) in more)
            {
                Write(name, content);
            }

            void Write(string name, byte[] content)
            {
                using Stream stream = zip.CreateEntry(folder + name, compression).Open();
                stream.Write(content);
            }
        }

        return file.ToArray();
    }

    /// <summary>The format before PyTorch 1.6.</summary>
    public byte[] Legacy()
    {
        using MemoryStream file = new();
        file.Write([0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, (byte)'.']);
        file.Write(Pickle(1001L, legacy: true));
        file.Write(Pickle(new Dictionary<string, object?> { ["protocol_version"] = 1001L, ["little_endian"] = true }, legacy: true));
        file.Write(Pickle(Root, legacy: true));

        // The list names the storages that the object refers to; those of replaced tensors are none.
        HashSet<string> used = [];
        Collect(Root, used);
        string[] keys = [.. _storages.Keys.Where(used.Contains)];
        file.Write(Pickle(keys.ToList<object?>(), legacy: true));
        foreach (string key in keys)
        {
            (string @class, byte[] bytes) = _storages[key];
            byte[] count = new byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(count, bytes.Length / ElementSize(@class));
            file.Write(count);
            file.Write(bytes);
        }

        return file.ToArray();
    }

    /// <summary>A pickle of one value.</summary>
    public static byte[] Pickle(object? value, bool legacy = false)
    {
        using MemoryStream pickle = new();
        pickle.Write([0x80, 2]);
        Write(pickle, value, legacy);
        pickle.WriteByte((byte)'.');
        return pickle.ToArray();
    }

    private static void Collect(object? value, HashSet<string> used)
    {
        switch (value)
        {
            case View view:
                used.Add(view.Storage);
                break;
            case Dictionary<string, object?> dict:
                dict.Values.ToList().ForEach(v => Collect(v, used));
                break;
            case Reduce call:
                Array.ForEach(call.Arguments, v => Collect(v, used));
                break;
            default:
                break;
        }
    }

    private static int ElementSize(string @class) => @class switch
    {
        "DoubleStorage" or "LongStorage" => 8,
        "FloatStorage" or "IntStorage" => 4,
        "HalfStorage" or "BFloat16Storage" or "ShortStorage" => 2,
        _ => 1,
    };

    private static void Write(Stream s, object? value, bool legacy)
    {
        switch (value)
        {
            case null:
                s.WriteByte((byte)'N');
                break;
            case bool b:
                s.WriteByte((byte)(b ? 0x88 : 0x89));
                break;
            case int i:
                Write(s, (long)i, legacy);
                break;
            case long l:
                s.Write([0x8a, 8]);
                byte[] integer = new byte[8];
                BinaryPrimitives.WriteInt64LittleEndian(integer, l);
                s.Write(integer);
                break;
            case double d:
                s.WriteByte((byte)'G');
                byte[] real = new byte[8];
                BinaryPrimitives.WriteDoubleBigEndian(real, d);
                s.Write(real);
                break;
            case string text:
                byte[] utf8 = Encoding.UTF8.GetBytes(text);
                byte[] length = new byte[4];
                BinaryPrimitives.WriteInt32LittleEndian(length, utf8.Length);
                s.WriteByte((byte)'X');
                s.Write(length);
                s.Write(utf8);
                break;
            case byte[] bytes:
                s.WriteByte((byte)'B');
                byte[] size = new byte[4];
                BinaryPrimitives.WriteInt32LittleEndian(size, bytes.Length);
                s.Write(size);
                s.Write(bytes);
                break;
            case object?[] tuple:
                s.WriteByte((byte)'(');
                Array.ForEach(tuple, item => Write(s, item, legacy));
                s.WriteByte((byte)'t');
                break;
            case List<object?> list:
                s.Write("]("u8);
                list.ForEach(item => Write(s, item, legacy));
                s.WriteByte((byte)'e');
                break;
            case Dictionary<string, object?> dict:
                s.Write("}("u8);
                foreach ((string key, object? item) in dict)
                {
                    Write(s, key, legacy);
                    Write(s, item, legacy);
                }

                s.WriteByte((byte)'u');
                break;
            case Raw raw:
                s.Write(raw.Bytes);
                break;
            case Global global:
                s.Write(Encoding.ASCII.GetBytes($"c{global.Module}\n{global.Name}\n"));
                break;
            case Reduce call:
                Write(s, call.Callee, legacy);
                Write(s, call.Arguments, legacy);
                s.WriteByte((byte)'R');
                break;
            case View view:
                Write(s, new Global("torch._utils", "_rebuild_tensor_v2"), legacy);
                s.WriteByte((byte)'(');
                object?[] id = ["storage", new Global("torch", view.Class), view.Storage, "cuda:0", view.Count];
                Write(s, legacy ? [.. id, null] : id, legacy);
                s.WriteByte((byte)'Q');
                Write(s, view.Offset, legacy);
                Write(s, view.Shape.Cast<object?>().ToArray(), legacy);
                Write(s, view.Strides.Cast<object?>().ToArray(), legacy);
                Write(s, false, legacy);
                Write(s, new Reduce(new Global("collections", "OrderedDict")), legacy);
                s.Write("tR"u8);
                break;
            default:
                throw new ArgumentException($"cannot pickle {value.GetType()}", nameof(value));
        }
    }
}
