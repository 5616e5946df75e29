using System.Buffers.Binary;

namespace KernelAD.WeightsConverter.Pickle;

/// <summary>
/// A pickle's bytes: buffered, counted, and limited, so that a length field in the pickle cannot make anyone allocate more than the file holds.
/// </summary>
internal sealed class PickleInput
{
    private readonly Stream _stream;
    private readonly long _limit;
    private readonly byte[] _buffer = new byte[1 << 14];
    private int _next;
    private int _end;

    /// <summary>Creates the input.</summary>
    /// <param name="stream">Where the bytes come from.</param>
    /// <param name="limit">Bytes that may be read at most.</param>
    public PickleInput(Stream stream, long limit)
    {
        _stream = stream;
        _limit = limit;
    }

    /// <summary>Bytes read so far.</summary>
    public long Position { get; private set; }

    /// <summary>Bytes that may still be read.</summary>
    public long Remaining => _limit - Position;

    public byte Byte()
    {
        if (_next == _end)
        {
            Fill();
        }

        Position++;
        return _buffer[_next++];
    }

    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Bytes(2));

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Bytes(4));

    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Bytes(8));

    public double DoubleBigEndian() => BinaryPrimitives.ReadDoubleBigEndian(Bytes(8));

    /// <summary>The next <paramref name="count"/> bytes.</summary>
    /// <exception cref="PickleException">There are not that many.</exception>
    public byte[] Bytes(ulong count)
    {
        if (count > (ulong)Remaining)
        {
            throw new PickleException($"the pickle announces {count} bytes at position {Position}, but only {Remaining} are left: the file is damaged or cut short");
        }

        byte[] bytes = new byte[count];
        for (int done = 0; done < bytes.Length;)
        {
            if (_next == _end)
            {
                Fill();
            }

            int part = Math.Min(bytes.Length - done, _end - _next);
            _buffer.AsSpan(_next, part).CopyTo(bytes.AsSpan(done));
            _next += part;
            Position += part;
            done += part;
        }

        return bytes;
    }

    /// <summary>The bytes up to the next line feed, which is dropped, and so is a carriage return before it.</summary>
    /// <param name="max">Longest line accepted.</param>
    public byte[] Line(int max)
    {
        List<byte> line = [];
        for (byte b = Byte(); b != '\n'; b = Byte())
        {
            line.Add(b);
            if (line.Count > max)
            {
                throw new PickleException($"a line of more than {max} bytes at position {Position}: the file is damaged");
            }
        }

        return line is [.., (byte)'\r'] ? [.. line[..^1]] : [.. line];
    }

    private void Fill()
    {
        _next = 0;
        _end = 0;
        int wanted = (int)Math.Min(_buffer.Length, Remaining);
        _end = wanted > 0 ? _stream.Read(_buffer, 0, wanted) : 0;
        if (_end == 0)
        {
            throw new PickleException($"the pickle ends at byte {Position} without a STOP: the file is damaged or cut short");
        }
    }
}
