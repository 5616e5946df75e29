using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels.Tiles;

/// <summary>
/// Where the four rows of x lie that a thread copies, as byte offsets from x. Rows beyond the matrix become its last one: their sums are not stored, so
/// no bound is checked in the loop and nothing outside is read. Offsets take half the registers of pointers, hence x must be below 4 GB.
/// </summary>
internal struct RowOffsets4
{
    private uint _r0;
    private uint _r1;
    private uint _r2;
    private uint _r3;

    /// <summary>Rows first, first + step, ….</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Start(int first, int step, int rows, int rowBytes)
    {
        _r0 = (uint)(Numbers.Min(first, rows - 1) * rowBytes);
        _r1 = (uint)(Numbers.Min(first + step, rows - 1) * rowBytes);
        _r2 = (uint)(Numbers.Min(first + (2 * step), rows - 1) * rowBytes);
        _r3 = (uint)(Numbers.Min(first + (3 * step), rows - 1) * rowBytes);
    }

    /// <summary>Copies 4 bytes of each row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Copy4<TCopy>(TCopy copy, uint target, uint targetStep, long source, uint bytes)
        where TCopy : struct, ICopy
    {
        copy.Copy4(target, source + _r0, bytes);
        copy.Copy4(target + targetStep, source + _r1, bytes);
        copy.Copy4(target + (2 * targetStep), source + _r2, bytes);
        copy.Copy4(target + (3 * targetStep), source + _r3, bytes);
    }
}
