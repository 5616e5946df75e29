using System.Runtime.InteropServices;

namespace KernelAD.Emulator.Tests;

/// <summary>Rows of a warp's registers, poisoned with NaN.</summary>
internal sealed unsafe class WarpRows : IDisposable
{
    private const uint Poison = 0xFFC0DEAD;

    private readonly uint* _lanes;
    private readonly uint** _rows;

    /// <param name="count">How many rows of 32 bits a lane.</param>
    public WarpRows(int count)
    {
        _lanes = (uint*)NativeMemory.AlignedAlloc((nuint)(count * Warp.Lanes * sizeof(uint)), 64);
        _rows = (uint**)NativeMemory.Alloc((nuint)(count * sizeof(uint*)));
        new Span<uint>(_lanes, count * Warp.Lanes).Fill(Poison);
        for (int i = 0; i < count; i++)
        {
            _rows[i] = _lanes + (i * Warp.Lanes);
        }
    }

    /// <summary>The rows from the first on.</summary>
    public uint** Pointers => _rows;

    /// <summary>A row.</summary>
    public uint* this[int row] => _rows[row];

    /// <summary>A row as floats.</summary>
    public float* Floats(int row) => (float*)_rows[row];

    public void Dispose()
    {
        NativeMemory.Free(_rows);
        NativeMemory.AlignedFree(_lanes);
    }
}
