using KernelAD.Kernels;

namespace KernelAD.Backends.Cuda;

/// <summary>
/// How the tensor cores compute a transposed convolution: as an ordinary one that slides over x by some pixels at a time and gives a square block of results at each place. Result i of a
/// block meets pixel j of its window with the kernel's tap i + Padding − <see cref="Shift"/> + Stride · (<see cref="Before"/> − j), if there is one, in rows as in columns.
/// </summary>
/// <param name="Kernel">Rows, and columns, of the kernel.</param>
/// <param name="Stride">Distance of results of neighbouring pixels.</param>
/// <param name="Padding">Rows and columns that are cut off the result on each side.</param>
/// <param name="Outputs">Channels of the result.</param>
/// <param name="Pixels">Pixels from a window to the next: with more of them windows share less, and more of a tile's columns are filled, but more taps are zeros.</param>
internal sealed record TransposedBlocks(int Kernel, int Stride, int Padding, int Outputs, int Pixels)
{
    /// <summary>Columns of the kernels' widest tile: more pixels than fill it would only add zeros.</summary>
    private const int WidestTile = 128;

    /// <summary>Elements that the kernels store at once.</summary>
    private const int VectorLength = 4;

    /// <summary>Rows, and columns, of a block of results.</summary>
    public int Side => Pixels * Stride;

    /// <summary>
    /// Rows, and columns, of the first blocks that lie before y: where blocks begin with the results of a pixel's first tap, the fewest pixels meet them. Not where y's border would then cut
    /// through elements that the kernels store at once.
    /// </summary>
    public int Shift => Outputs % VectorLength == 0 ? Padding % Stride : 0;

    /// <summary>Pixels of a window before the one that the block begins at: the first that meets the block's first result; negative if that one lies behind.</summary>
    public int Before => (int)Math.Floor((Kernel - 1 - Padding + Shift) / (double)Stride);

    /// <summary>Rows, and columns, of a window: up to the last pixel that meets the block's last result.</summary>
    public int Window => Before + ((Side - 1 + Padding - Shift) / Stride) + 1;

    /// <summary>Elements of a row of a block.</summary>
    public int RowElements => Side * Outputs;

    /// <summary>Columns of the product for a row of a block: whole vectors.</summary>
    public int RowColumns => LinearTiles.Tiles(RowElements, VectorLength) * VectorLength;

    /// <summary>Columns of the product.</summary>
    public int Columns => Side * RowColumns;

    /// <summary>Blocks that cover an extent of the result.</summary>
    public int Cover(int extent) => LinearTiles.Tiles(extent + Shift, Side);

    /// <summary>The ways to cut a transposed convolution that the kernels can take and that may be worth it.</summary>
    public static IEnumerable<TransposedBlocks> All(int kernel, int stride, int padding, int outputs)
    {
        TransposedBlocks blocks = new(kernel, stride, padding, outputs, Pixels: 1);
        while (blocks.Window <= ConvolutionArguments.MaxKernel)
        {
            yield return blocks;
            if (blocks.Columns >= WidestTile)
            {
                break;
            }

            blocks = blocks with { Pixels = blocks.Pixels + 1 };
        }
    }

    /// <summary>The channel of y that a column of the product belongs to; null for one that fills up a vector.</summary>
    public int? Output(int column) => column % RowColumns < RowElements ? column % RowColumns % Outputs : null;

    /// <summary>A column of the product: the weights of a window's values (row, column, channel) for one result.</summary>
    /// <param name="weight">The weight as it is in the file, (channels, Outputs, Kernel, Kernel).</param>
    /// <param name="column">Which column.</param>
    /// <param name="values">Receives them; a pixel's channels are filled up with zeros.</param>
    /// <param name="channels">Channels of x.</param>
    public void Weights(ReadOnlySpan<float> weight, int column, Span<float> values, int channels)
    {
        values.Clear();
        if (Output(column) is not int output)
        {
            return;
        }

        int pixelLength = values.Length / (Window * Window), row = column / RowColumns, inRow = column % RowColumns / Outputs;
        for (int i = 0; i < Window; i++)
        {
            for (int j = 0; j < Window; j++)
            {
                if (Tap(row, i) is int tapRow && Tap(inRow, j) is int tapColumn)
                {
                    for (int channel = 0; channel < channels; channel++)
                    {
                        values[(((i * Window) + j) * pixelLength) + channel] = weight[(((((channel * Outputs) + output) * Kernel) + tapRow) * Kernel) + tapColumn];
                    }
                }
            }
        }
    }

    private int? Tap(int result, int pixel)
    {
        int tap = result + Padding - Shift + (Stride * (Before - pixel));
        return tap >= 0 && tap < Kernel ? tap : null;
    }
}
