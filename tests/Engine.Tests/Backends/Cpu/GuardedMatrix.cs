using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

/// <summary>A row-major or row-tiled matrix in native memory, full of NaN at first, between two guard bands that nobody may write to.</summary>
internal sealed unsafe class GuardedMatrix : IDisposable
{
    private const int Guard = 64;
    private const float Canary = -12345.5f;
    private readonly AlignedMemory _memory;
    private readonly bool _rowTiles;
    private readonly int _rows;
    private readonly int _columns;
    private readonly int _stride;
    private readonly long _size;

    public GuardedMatrix(int rows, int columns, bool rowTiles = false, int stride = 0)
    {
        _rows = rows;
        _columns = columns;
        _rowTiles = rowTiles;
        _stride = stride == 0 ? columns : stride;
        _size = rowTiles ? RowTiles.Size(rows, columns) : (long)rows * _stride;
        _memory = new AlignedMemory((_size + (2 * Guard)) * sizeof(float));
        Span<float> all = new(_memory.Pointer, (int)_size + (2 * Guard));
        all.Fill(Canary);
        all.Slice(Guard, (int)_size).Fill(float.NaN);
    }

    public float* Pointer => (float*)_memory.Pointer + Guard;

    public BufferRef Ref => BufferRef.At(Pointer, _stride);

    public ref float this[int row, int column] =>
        ref Pointer[_rowTiles ? RowTiles.Index(row, column, _columns) : ((long)row * _stride) + column];

    public static GuardedMatrix Random(Random random, int rows, int columns, bool rowTiles = false, int stride = 0, float scale = 1f)
    {
        GuardedMatrix matrix = new(rows, columns, rowTiles, stride);
        for (int r = 0; r < rows; r++)
        {
            for (int c = 0; c < columns; c++)
                matrix[r, c] = scale * (float)((2 * random.NextDouble()) - 1);
        }

        return matrix;
    }

    public float[] ToArray()
    {
        float[] values = new float[_rows * _columns];
        for (int i = 0; i < values.Length; i++)
            values[i] = this[i / _columns, i % _columns];
        return values;
    }

    /// <summary>Fails if anything outside the matrix was written: guard bands, and in a row-major matrix the gap between the rows.</summary>
    public void AssertNothingWrittenOutside()
    {
        for (int i = 0; i < Guard; i++)
        {
            Assert.That(Pointer[-1 - i], Is.EqualTo(Canary), "before the matrix");
            Assert.That(Pointer[_size + i], Is.EqualTo(Canary), "after the matrix");
        }

        for (int r = 0; !_rowTiles && r < _rows; r++)
        {
            for (int c = _columns; c < _stride; c++)
                Assert.That(Pointer[((long)r * _stride) + c], Is.NaN, "between the rows");
        }
    }

    public void Dispose() => _memory.Dispose();
}
