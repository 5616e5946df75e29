using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KernelAD.Tensors;

namespace KernelAD.Weights;

/// <summary>Converts little-endian elements of any <see cref="ElementType"/> to single precision.</summary>
public static class ElementConversion
{
    /// <summary>Converts <paramref name="destination"/>.Length elements, rounding to nearest where single precision is narrower.</summary>
    /// <param name="type">Type of the source's elements.</param>
    /// <param name="source">At least <paramref name="destination"/>.Length elements, at any alignment.</param>
    /// <param name="destination">Receives the values.</param>
    public static void ToFloat32(ElementType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        int size = type.Size();
        source = source[..checked(destination.Length * size)];
        switch (type)
        {
            case ElementType.F32:
                source.CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case ElementType.BF16:
                for (int i = 0; i < destination.Length; i++)
                {
                    destination[i] = BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(source[(2 * i)..]) << 16);
                }

                break;
            case ElementType.F16:
                for (int i = 0; i < destination.Length; i++)
                {
                    destination[i] = (float)BinaryPrimitives.ReadHalfLittleEndian(source[(2 * i)..]);
                }

                break;
            default:
                for (int i = 0; i < destination.Length; i++)
                {
                    ReadOnlySpan<byte> element = source.Slice(i * size, size);
                    destination[i] = type switch
                    {
                        ElementType.F64 => (float)BinaryPrimitives.ReadDoubleLittleEndian(element),
                        ElementType.I64 => BinaryPrimitives.ReadInt64LittleEndian(element),
                        ElementType.I32 => BinaryPrimitives.ReadInt32LittleEndian(element),
                        ElementType.I16 => BinaryPrimitives.ReadInt16LittleEndian(element),
                        ElementType.I8 => (sbyte)element[0],
                        ElementType.U8 => element[0],
                        ElementType.Bool => element[0] == 0 ? 0 : 1,
                        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "unknown element type"),
                    };
                }

                break;
        }
    }
}
