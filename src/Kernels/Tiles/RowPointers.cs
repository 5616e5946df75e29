using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels.Tiles;

/// <summary>
/// Where the four rows of x lie that a thread copies. Rows beyond the matrix become its last one: their sums are not stored, so no bound is checked in the
/// loop and nothing outside is read.
/// </summary>
internal struct RowPointers4
{
    private long _r0;
    private long _r1;
    private long _r2;
    private long _r3;

    /// <summary>Rows first, first + step, ….</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Start(long origin, int first, int step, int rows, int rowBytes)
    {
        _r0 = origin + ((long)Numbers.Min(first, rows - 1) * rowBytes);
        _r1 = origin + ((long)Numbers.Min(first + step, rows - 1) * rowBytes);
        _r2 = origin + ((long)Numbers.Min(first + (2 * step), rows - 1) * rowBytes);
        _r3 = origin + ((long)Numbers.Min(first + (3 * step), rows - 1) * rowBytes);
    }

    /// <summary>Goes on along the rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Advance(int bytes)
    {
        _r0 += bytes;
        _r1 += bytes;
        _r2 += bytes;
        _r3 += bytes;
    }

    /// <summary>Copies 16 bytes of each of the first two rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void CopyTwo16<TCopy>(TCopy copy, uint target, uint targetStep, uint bytes)
        where TCopy : struct, ICopy
    {
        copy.Copy16(target, _r0, bytes);
        copy.Copy16(target + targetStep, _r1, bytes);
    }

    /// <summary>Copies 16 bytes of each row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Copy16<TCopy>(TCopy copy, uint target, uint targetStep, uint bytes)
        where TCopy : struct, ICopy
    {
        CopyTwo16(copy, target, targetStep, bytes);
        copy.Copy16(target + (2 * targetStep), _r2, bytes);
        copy.Copy16(target + (3 * targetStep), _r3, bytes);
    }
}
