using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KernelAD.Preprocessing;

/// <summary>
/// Resizes 8-bit pictures bit for bit as Pillow does, so that the network sees what it saw in training:
/// <code>
/// out(i) = clamp((Σ_j w(i,j) · in(j) + 2^21) >> 22, 0, 255)      w: 22-bit integers, see ResampleAxis
/// </code>
/// first along rows, rounded to 8 bits, then along columns. Rows are resampled when a column first needs them and kept in a ring of
/// as many rows as a column has taps, so memory does not grow with the height of the picture, and only the wanted part is computed.
/// Integer sums do not depend on their order: every vector width gives the same bits.
/// </summary>
public static unsafe class PillowResampler
{
    /// <summary>Channels of a pixel in working memory: red, green, blue in the picture's order, and one that is never looked at.</summary>
    internal const int Lanes = 4;

    private const int Half = 1 << (ResampleAxis.FractionBits - 1);

    /// <summary>Resizes a picture.</summary>
    /// <param name="source">The picture.</param>
    /// <param name="width">Width of the result.</param>
    /// <param name="height">Height of the result.</param>
    /// <param name="filter">The resampling filter.</param>
    /// <param name="destination">Receives 3 · width · height bytes: rows of red, green, blue.</param>
    /// <exception cref="BadInputException">The result would be empty or too large.</exception>
    /// <exception cref="ArgumentException"><paramref name="destination"/> is too short.</exception>
    public static void Resize(PictureView source, int width, int height, Interpolation filter, Span<byte> destination)
    {
        PictureView.CheckExtent(source.Width, source.Height);
        PictureView.CheckExtent(width, height);
        ResampleAxis columns = new(filter, source.Width, width, 0, width, Lanes);
        ResampleAxis rows = new(filter, source.Height, height, 0, height, 1);
        Resample(source, columns, rows, destination, width * 3, new PreprocessingScratch());
    }

    /// <summary>Resamples the part of a picture that the axes select into rows of red, green, blue.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Resample(
        PictureView source,
        ResampleAxis columns,
        ResampleAxis rows,
        Span<byte> destination,
        int destinationStride,
        PreprocessingScratch scratch)
    {
        if (destination.Length < ((long)(rows.Count - 1) * destinationStride) + (columns.Count * 3))
        {
            throw new ArgumentException($"{columns.Count}×{rows.Count} RGB pixels do not fit into {destination.Length} bytes", nameof(destination));
        }

        int rowLength = columns.Count * Lanes;
        Span<int> line = scratch.Line(Math.Max(columns.End - columns.Begin + columns.Taps, columns.Count) * Lanes);
        const int MaxRing = 1 << 28;
        if ((long)rows.Taps * rowLength > MaxRing)
        {
            throw new BadInputException(
                $"a picture of {source.Width}×{source.Height} pixels cannot be shrunk to {rows.Count} rows of {columns.Count}: {rows.Taps} wide rows would be held at once; shrink it first");
        }

        Span<int> ring = scratch.Ring(rows.Taps * rowLength);
        (int red, int green, int blue) = source.Format.ChannelOffsets();
        fixed (int* linePointer = line, ringPointer = ring)
        {
            int next = 0;
            for (int y = 0; y < rows.Count; y++)
            {
                int start = rows.Starts[y];
                int end = start + rows.Counts[y];
                for (next = Math.Max(next, start); next < end; next++)
                {
                    int* ringRow = ringPointer + (next % rows.Taps * rowLength);
                    ReadOnlySpan<byte> row = source.Row(rows.Begin + next);
                    if (columns.IsIdentity)
                    {
                        Widen(row, source.Format, columns.Begin, columns.Count, ringRow);
                    }
                    else
                    {
                        Widen(row, source.Format, columns.Begin, columns.End - columns.Begin, linePointer);
                        Horizontal(linePointer, columns, ringRow);
                    }
                }

                fixed (byte* output = destination.Slice(y * destinationStride, columns.Count * 3))
                {
                    Vertical(ringPointer, rows, y, rowLength, linePointer);
                    for (int x = 0; x < columns.Count; x++)
                    {
                        output[3 * x] = (byte)linePointer[(Lanes * x) + red];
                        output[(3 * x) + 1] = (byte)linePointer[(Lanes * x) + green];
                        output[(3 * x) + 2] = (byte)linePointer[(Lanes * x) + blue];
                    }
                }
            }
        }
    }

    /// <summary>Spreads the bytes of a row over 32-bit lanes, four a pixel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen(ReadOnlySpan<byte> row, PixelFormat format, int first, int count, int* output)
    {
        int bytes = format.BytesPerPixel();
        fixed (byte* input = row.Slice(first * bytes, count * bytes))
        {
            int i = 0;
            if (bytes == 4)
            {
                for (; i + 4 <= count; i += 4)
                {
                    WidenFour(Vector128.Load(input + (4 * i)), output + (Lanes * i));
                }
            }
            else if (bytes == 3)
            {
                // Four pixels are 12 bytes, but a load takes 16: the last pixels of a row are left to the loop below.
                Vector128<byte> spread = Vector128.Create((byte)0, 1, 2, 255, 3, 4, 5, 255, 6, 7, 8, 255, 9, 10, 11, 255);
                for (; i + 6 <= count; i += 4)
                {
                    WidenFour(Vector128.Shuffle(Vector128.Load(input + (3 * i)), spread), output + (Lanes * i));
                }
            }

            int second = bytes == 1 ? 0 : 1;
            int third = bytes == 1 ? 0 : 2;
            for (; i < count; i++)
            {
                output[Lanes * i] = input[bytes * i];
                output[(Lanes * i) + 1] = input[(bytes * i) + second];
                output[(Lanes * i) + 2] = input[(bytes * i) + third];
                output[(Lanes * i) + 3] = 0;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WidenFour(Vector128<byte> pixels, int* output)
    {
        (Vector128<ushort> low, Vector128<ushort> high) = Vector128.Widen(pixels);
        (Vector128<uint> a, Vector128<uint> b) = Vector128.Widen(low);
        (Vector128<uint> c, Vector128<uint> d) = Vector128.Widen(high);
        a.AsInt32().Store(output);
        b.AsInt32().Store(output + 4);
        c.AsInt32().Store(output + 8);
        d.AsInt32().Store(output + 12);
    }

    private static void Horizontal(int* line, ResampleAxis columns, int* output)
    {
        if (Vector512.IsHardwareAccelerated)
            Horizontal512(line, columns, output);
        else if (Vector256.IsHardwareAccelerated)
            Horizontal256(line, columns, output);
        else
            Horizontal128(line, columns, output);
    }

    /// <summary>One row of pixels through the taps of every column: four taps a vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Horizontal512(int* line, ResampleAxis columns, int* output)
    {
        int length = columns.Taps * Lanes;
        fixed (int* starts = columns.Starts, allWeights = columns.Weights)
        {
            for (int x = 0; x < columns.Count; x++)
            {
                int* pixels = line + (starts[x] * Lanes);
                int* weights = allWeights + ((long)x * length);
                Vector512<int> sum = Vector512<int>.Zero;
                for (int j = 0; j < length; j += Vector512<int>.Count)
                    sum += Vector512.Load(pixels + j) * Vector512.Load(weights + j);
                Vector256<int> half = sum.GetLower() + sum.GetUpper();
                Round(half.GetLower() + half.GetUpper()).Store(output + (x * Lanes));
            }
        }
    }

    /// <summary>One row of pixels through the taps of every column: two taps a vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Horizontal256(int* line, ResampleAxis columns, int* output)
    {
        int length = columns.Taps * Lanes;
        fixed (int* starts = columns.Starts, allWeights = columns.Weights)
        {
            for (int x = 0; x < columns.Count; x++)
            {
                int* pixels = line + (starts[x] * Lanes);
                int* weights = allWeights + ((long)x * length);
                Vector256<int> sum = Vector256<int>.Zero;
                for (int j = 0; j < length; j += Vector256<int>.Count)
                    sum += Vector256.Load(pixels + j) * Vector256.Load(weights + j);
                Round(sum.GetLower() + sum.GetUpper()).Store(output + (x * Lanes));
            }
        }
    }

    /// <summary>One row of pixels through the taps of every column: one tap a vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Horizontal128(int* line, ResampleAxis columns, int* output)
    {
        int length = columns.Taps * Lanes;
        fixed (int* starts = columns.Starts, allWeights = columns.Weights)
        {
            for (int x = 0; x < columns.Count; x++)
            {
                int* pixels = line + (starts[x] * Lanes);
                int* weights = allWeights + ((long)x * length);
                Vector128<int> sum = Vector128<int>.Zero;
                for (int j = 0; j < length; j += Vector128<int>.Count)
                    sum += Vector128.Load(pixels + j) * Vector128.Load(weights + j);
                Round(sum).Store(output + (x * Lanes));
            }
        }
    }

    /// <summary>
    /// One output row from the rows in the ring. <paramref name="length"/> is a multiple of four: pixels have four lanes.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Vertical(int* ring, ResampleAxis rows, int y, int length, int* output)
    {
        int count = rows.Counts[y];
        int* first = ring + (rows.Starts[y] % rows.Taps * length);
        int* end = ring + (rows.Taps * length);
        fixed (int* weights = rows.Weights.Slice(y * rows.Taps, count))
        {
            int i = 0;
            if (Vector512.IsHardwareAccelerated)
            {
                for (; i + Vector512<int>.Count <= length; i += Vector512<int>.Count)
                {
                    Vector512<int> sum = Vector512<int>.Zero;
                    int* row = first;
                    for (int j = 0; j < count; j++)
                    {
                        sum += Vector512.Load(row + i) * weights[j];
                        row = row + length == end ? ring : row + length;
                    }

                    Round(sum).Store(output + i);
                }
            }
            else if (Vector256.IsHardwareAccelerated)
            {
                for (; i + Vector256<int>.Count <= length; i += Vector256<int>.Count)
                {
                    Vector256<int> sum = Vector256<int>.Zero;
                    int* row = first;
                    for (int j = 0; j < count; j++)
                    {
                        sum += Vector256.Load(row + i) * weights[j];
                        row = row + length == end ? ring : row + length;
                    }

                    Round(sum).Store(output + i);
                }
            }

            for (; i < length; i += Lanes)
            {
                Vector128<int> sum = Vector128<int>.Zero;
                int* row = first;
                for (int j = 0; j < count; j++)
                {
                    sum += Vector128.Load(row + i) * weights[j];
                    row = row + length == end ? ring : row + length;
                }

                Round(sum).Store(output + i);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Round(Vector128<int> sum)
    {
        sum = (sum + Vector128.Create(Half)) >> ResampleAxis.FractionBits;
        return Vector128.Min(Vector128.Max(sum, Vector128<int>.Zero), Vector128.Create(255));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Round(Vector256<int> sum)
    {
        sum = (sum + Vector256.Create(Half)) >> ResampleAxis.FractionBits;
        return Vector256.Min(Vector256.Max(sum, Vector256<int>.Zero), Vector256.Create(255));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Round(Vector512<int> sum)
    {
        sum = (sum + Vector512.Create(Half)) >> ResampleAxis.FractionBits;
        return Vector512.Min(Vector512.Max(sum, Vector512<int>.Zero), Vector512.Create(255));
    }
}
