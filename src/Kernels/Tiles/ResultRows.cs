using System.Runtime.CompilerServices;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels.Tiles;

/// <summary>Where a product's results go: four neighbouring columns of a row at a time, always the same columns of a lane.</summary>
internal interface IResultRows
{
    /// <summary>Begins with the first of the four columns, below N.</summary>
    void Start(int column);

    /// <summary>Stores them, if there is such a row.</summary>
    /// <param name="a">The product.</param>
    /// <param name="y">Address of element 0.</param>
    /// <param name="row">The row.</param>
    /// <param name="v">The results.</param>
    void Store(LinearArguments a, long y, int row, F4 v);
}

/// <summary>Rows of a matrix.</summary>
internal struct MatrixResults : IResultRows
{
    private int _column;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Start(int column) => _column = column;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(LinearArguments a, long y, int row, F4 v)
    {
        if (row < a.M)
        {
            Results.Store(y, ((long)row * a.YStride) + _column, v, Numbers.Min(a.N - _column, 4), a.Type, a.Vectors != 0);
        }
    }
}

/// <summary>Square blocks of maps (N, H, W, C), one a row; see <see cref="TransposedProductArguments"/>.</summary>
internal struct BlockResults : IResultRows
{
    /// <summary>The transposed convolution.</summary>
    public TransposedProductArguments Blocks;

    private int _row;
    private int _element;
    private int _count;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Start(int column)
    {
        int row = Numbers.Divide(column, Blocks.RowColumns), element = column - (row * Blocks.RowColumns.Value);
        _row = row - Blocks.RowsAbove;
        _element = element - Blocks.ElementsBefore;
        _count = Numbers.Min(Blocks.RowElements - element, 4);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(LinearArguments a, long y, int row, F4 v)
    {
        Divisor pixels = Blocks.Convolution.Pixels, columns = Blocks.Convolution.Columns;
        int picture = Numbers.Divide(row, pixels), block = row - (picture * pixels.Value);
        int blockRow = Numbers.Divide(block, columns), blockColumn = block - (blockRow * columns.Value);
        int yRow = (blockRow * Blocks.BlockRows) + _row, element = (blockColumn * Blocks.RowElements) + _element;
        int count = Numbers.Min(_count, Blocks.YRowElements - element);
        if (row < a.M & (uint)yRow < (uint)Blocks.YRows & element >= 0 & count > 0)
        {
            long firstElement = (((long)picture * Blocks.YRows) + yRow) * Blocks.YRowElements;
            Results.Store(y, firstElement + element, v, count, a.Type, a.Vectors != 0);
        }
    }
}
