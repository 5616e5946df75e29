using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels.Tiles;

/// <summary>Where four rows of an operand lie, as byte offsets from its beginning.</summary>
internal struct RowOffsets4
{
    /// <summary>First row.</summary>
    public uint R0;

    /// <summary>Second row.</summary>
    public uint R1;

    /// <summary>Third row.</summary>
    public uint R2;

    /// <summary>Fourth row.</summary>
    public uint R3;

    /// <summary>Rows first, first + step, ….</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Start(int first, int step, int rows, int rowBytes)
    {
        R0 = (uint)(Numbers.Min(first, rows - 1) * rowBytes);
        R1 = (uint)(Numbers.Min(first + step, rows - 1) * rowBytes);
        R2 = (uint)(Numbers.Min(first + (2 * step), rows - 1) * rowBytes);
        R3 = (uint)(Numbers.Min(first + (3 * step), rows - 1) * rowBytes);
    }

    /// <summary>Copies 4 bytes of each row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Copy4<TCopy>(TCopy copy, uint target, uint targetStep, long source, uint bytes)
        where TCopy : struct, ICopy
    {
        copy.Copy4(target, source + R0, bytes);
        copy.Copy4(target + targetStep, source + R1, bytes);
        copy.Copy4(target + (2 * targetStep), source + R2, bytes);
        copy.Copy4(target + (3 * targetStep), source + R3, bytes);
    }
}
