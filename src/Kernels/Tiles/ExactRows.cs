using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels.Tiles;

/// <summary>
/// Where an exact product gets its left operand from: one k of eight rows a thread. Rows beyond the matrix become its last one: their sums are not stored, so no bound
/// is checked in the loop and nothing outside is read.
/// </summary>
internal interface IExactRows
{
    /// <summary>Begins with rows first, first + step, … at one k.</summary>
    void Start(LinearArguments a, int first, int step, int k);

    /// <summary>Copies the eight values, or zeros if <paramref name="bytes"/> is 0 instead of 4.</summary>
    void Copy<TCopy>(TCopy copy, uint target, uint targetStep, uint bytes)
        where TCopy : struct, ICopy;

    /// <summary>Goes on to the next tile along K.</summary>
    void Advance();
}

/// <summary>Rows of a matrix, as offsets: they take half the registers of pointers, hence the matrix must be below 4 GB.</summary>
internal struct MatrixRows8 : IExactRows
{
    private long _x;
    private RowOffsets4 _low;
    private RowOffsets4 _high;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Start(LinearArguments a, int first, int step, int k)
    {
        _x = a.X + ((long)k * sizeof(float));
        _low.Start(first, step, a.M, a.XStride * sizeof(float));
        _high.Start(first + (4 * step), step, a.M, a.XStride * sizeof(float));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Copy<TCopy>(TCopy copy, uint target, uint targetStep, uint bytes)
        where TCopy : struct, ICopy
    {
        _low.Copy4(copy, target, targetStep, _x, bytes);
        _high.Copy4(copy, target + (4 * targetStep), targetStep, _x, bytes);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Advance() => _x += Linear.ExactTile * sizeof(float);
}
