using System.Runtime.CompilerServices;
using ILGPU.Runtime.Cuda;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels.Tiles;

/// <summary>A cell of the grid of tokens.</summary>
internal struct Cell
{
    /// <summary>Its row.</summary>
    public int Row;

    /// <summary>Its column.</summary>
    public int Column;
}

/// <summary>Consecutive keys.</summary>
internal struct KeyRange
{
    /// <summary>The first one.</summary>
    public int First;

    /// <summary>The one behind the last.</summary>
    public int End;

    /// <summary>Whether any of <paramref name="count"/> keys from <paramref name="key"/> on is among them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Touches(int key, int count) => (key < End) & (key + count > First);
}

/// <summary>The mask of attention, computed from the coordinates of tokens instead of being read.</summary>
internal struct Neighbourhood
{
    private AttentionMask _mask;
    private Divisor _width;
    private int _rowRadius;
    private int _columnRadius;

    /// <summary>Begins.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Start(AttentionArguments a)
    {
        _mask = a.Mask;
        _width = a.GridWidth;
        _rowRadius = a.RowRadius;
        _columnRadius = a.ColumnRadius;
    }

    /// <summary>Keys that may be neighbours of any of the queries: whole rows of the grid. Empty without a mask.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly KeyRange Around(int firstQuery, int lastQuery)
    {
        KeyRange range = default;
        if (_mask != AttentionMask.None)
        {
            range.First = Numbers.Max(Numbers.Divide(firstQuery, _width) - _rowRadius, 0) * _width.Value;
            range.End = (Numbers.Divide(lastQuery, _width) + _rowRadius + 1) * _width.Value;
        }

        return range;
    }

    /// <summary>The cell of a token.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly Cell Of(int token)
    {
        Cell cell = default;
        cell.Row = Numbers.Divide(token, _width);
        cell.Column = token - (cell.Row * _width.Value);
        return cell;
    }

    /// <summary>The logit, or −∞ if the query does not see the key.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly float Apply(float logit, Cell key, Cell query)
    {
        // A distance d is within radius r if d + r, taken as unsigned, is at most 2r. Written as one chain of predicates, which C# has no words for.
        CudaAsm.Emit(
            "{ .reg .pred p; setp.le.u32 p, %2, %3; setp.le.and.u32 p, %4, %5, p; setp.ne.xor.s32 p, %6, 1, p; selp.f32 %0, %1, 0fFF800000, p; }",
            out float masked,
            logit,
            key.Row - query.Row + _rowRadius,
            2 * _rowRadius,
            key.Column - query.Column + _columnRadius,
            2 * _columnRadius,
            (int)_mask);
        return masked;
    }
}
