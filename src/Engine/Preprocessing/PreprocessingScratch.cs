namespace KernelAD.Preprocessing;

/// <summary>
/// Working memory of <see cref="PicturePreprocessor"/>. It grows to what the largest picture so far needed; used again for pictures
/// no larger, preprocessing allocates nothing. One thread at a time.
/// </summary>
public sealed class PreprocessingScratch
{
    private int[] _line = [];
    private int[] _ring = [];
    private byte[] _picture = [];

    /// <summary>One widened input row; contents undefined.</summary>
    internal Span<int> Line(int length) => Reserve(ref _line, length);

    /// <summary>The rows that the vertical pass still needs; contents undefined.</summary>
    internal Span<int> Ring(int length) => Reserve(ref _ring, length);

    /// <summary>The resized and cropped picture; contents undefined.</summary>
    internal Span<byte> Picture(int length) => Reserve(ref _picture, length);

    private static Span<T> Reserve<T>(ref T[] memory, int length)
    {
        if (memory.Length < length)
            memory = GC.AllocateUninitializedArray<T>(length);
        return memory.AsSpan(0, length);
    }
}
