using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels.Tiles;

/// <summary>
/// Where a tensor-core product gets its left operand from: 16 bytes of two or four rows, some apart, a thread. Rows beyond the matrix become its last one: their sums are not
/// stored, so no bound is checked in the loop and nothing outside is read.
/// </summary>
internal interface IFastRows
{
    /// <summary>Begins with rows first, first + step, … at a byte of the row.</summary>
    void Start<TUnit>(LinearArguments a, TUnit unit, int first, int step, int rowByte)
        where TUnit : struct, IMatrixUnit;

    /// <summary>Copies 16 bytes of two rows, or zeros if <paramref name="bytes"/> is 0.</summary>
    void CopyTwo<TUnit, TCopy>(TCopy copy, TUnit unit, uint target, uint targetStep, uint bytes)
        where TUnit : struct, IMatrixUnit
        where TCopy : struct, ICopy;

    /// <summary>Copies 16 bytes of four rows, or zeros if <paramref name="bytes"/> is 0.</summary>
    void CopyFour<TUnit, TCopy>(TCopy copy, TUnit unit, uint target, uint targetStep, uint bytes)
        where TUnit : struct, IMatrixUnit
        where TCopy : struct, ICopy;

    /// <summary>Goes on to the next tile along K.</summary>
    void Advance();
}

/// <summary>
/// Rows of a matrix in the operand's type, as offsets from one pointer (so the matrix must be below 4 GB): four pointers that advance by themselves make ptxas copy them before
/// every use on sm_90.
/// </summary>
internal struct MatrixRows4 : IFastRows
{
    private long _x;
    private RowOffsets4 _rows;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Start<TUnit>(LinearArguments a, TUnit unit, int first, int step, int rowByte)
        where TUnit : struct, IMatrixUnit
    {
        _x = a.X + rowByte;
        _rows.Start(first, step, a.M, a.XStride * unit.ElementBytes);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void CopyTwo<TUnit, TCopy>(TCopy copy, TUnit unit, uint target, uint targetStep, uint bytes)
        where TUnit : struct, IMatrixUnit
        where TCopy : struct, ICopy
    {
        copy.Copy16(target, _x + _rows.R0, bytes);
        copy.Copy16(target + targetStep, _x + _rows.R1, bytes);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void CopyFour<TUnit, TCopy>(TCopy copy, TUnit unit, uint target, uint targetStep, uint bytes)
        where TUnit : struct, IMatrixUnit
        where TCopy : struct, ICopy
    {
        CopyTwo(copy, unit, target, targetStep, bytes);
        copy.Copy16(target + (2 * targetStep), _x + _rows.R2, bytes);
        copy.Copy16(target + (3 * targetStep), _x + _rows.R3, bytes);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Advance() => _x += Linear.FastTileBytes;
}
