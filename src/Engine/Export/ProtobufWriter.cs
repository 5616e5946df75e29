using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace KernelAD.Export;

/// <summary>Writes one protobuf message into memory, field by field.</summary>
internal sealed class ProtobufWriter
{
    private const int Varint = 0;
    private const int LengthDelimited = 2;
    private const int Fixed32 = 5;

    private readonly ArrayBufferWriter<byte> _buffer = new();

    /// <summary>The message so far.</summary>
    public ReadOnlySpan<byte> Written => _buffer.WrittenSpan;

    /// <summary>A field of type int32, int64 or enum.</summary>
    public void Integer(int field, long value)
    {
        Raw(Tag(field, Varint));
        Raw((ulong)value);
    }

    /// <summary>A field of type float.</summary>
    public void Float(int field, float value)
    {
        Raw(Tag(field, Fixed32));
        BinaryPrimitives.WriteSingleLittleEndian(_buffer.GetSpan(sizeof(float)), value);
        _buffer.Advance(sizeof(float));
    }

    /// <summary>A field of type bytes.</summary>
    public void Bytes(int field, ReadOnlySpan<byte> value)
    {
        Length(field, value.Length);
        _buffer.Write(value);
    }

    /// <summary>A field of type string.</summary>
    public void Text(int field, string value) => Bytes(field, Encoding.UTF8.GetBytes(value));

    /// <summary>A field that is a message itself.</summary>
    public void Message(int field, Action<ProtobufWriter> content)
    {
        ProtobufWriter inner = new();
        content(inner);
        Bytes(field, inner.Written);
    }

    /// <summary>The beginning of a length-delimited field whose <paramref name="length"/> bytes the caller writes elsewhere.</summary>
    public void Length(int field, long length)
    {
        Raw(Tag(field, LengthDelimited));
        Raw((ulong)length);
    }

    private static ulong Tag(int field, int wireType) => ((ulong)field << 3) | (uint)wireType;

    private void Raw(ulong value)
    {
        Span<byte> bytes = _buffer.GetSpan(10);
        int count = 0;
        for (; value >= 0x80; value >>= 7)
        {
            bytes[count++] = (byte)(value | 0x80);
        }

        bytes[count++] = (byte)value;
        _buffer.Advance(count);
    }
}
