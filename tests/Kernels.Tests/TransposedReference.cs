namespace KernelAD.Kernels.Tests;

/// <summary>A transposed convolution as it is defined, channels last: every pixel is spread over the result.</summary>
/// <param name="Maps">N.</param>
/// <param name="Height">Rows of x.</param>
/// <param name="Width">Columns of x.</param>
/// <param name="Channels">Channels of x.</param>
/// <param name="Outputs">Channels of y.</param>
/// <param name="Kernel">Rows, and columns, of the kernel.</param>
/// <param name="Stride">Distance of the results of neighbouring pixels.</param>
/// <param name="Padding">What is cut off y on each side.</param>
internal sealed record TransposedReference(int Maps, int Height, int Width, int Channels, int Outputs, int Kernel, int Stride, int Padding)
{
    public int YHeight => ((Height - 1) * Stride) - (2 * Padding) + Kernel;

    public int YWidth => ((Width - 1) * Stride) - (2 * Padding) + Kernel;

    /// <summary>Elements of y.</summary>
    public int Count => Maps * YHeight * YWidth * Outputs;

    /// <summary>The sums in float64, and the sums of their terms' magnitudes.</summary>
    /// <param name="x">(N, H, W, C).</param>
    /// <param name="w">(Kernel, Kernel, Channels, Outputs).</param>
    /// <param name="bias">(Outputs).</param>
    public (double[] Sums, double[] Magnitudes) Sums(float[] x, float[] w, float[] bias)
    {
        double[] sums = [.. Enumerable.Range(0, Count).Select(i => (double)bias[i % Outputs])], magnitudes = [.. sums.Select(Math.Abs)];
        for (int i = 0; i < x.Length; i++)
        {
            int pixel = i / Channels, firstRow = (pixel / Width % Height * Stride) - Padding, firstColumn = (pixel % Width * Stride) - Padding;
            for (int tap = 0; tap < Kernel * Kernel; tap++)
            {
                int row = firstRow + (tap / Kernel), column = firstColumn + (tap % Kernel);
                for (int o = 0; row >= 0 && row < YHeight && column >= 0 && column < YWidth && o < Outputs; o++)
                {
                    int at = (((((pixel / (Height * Width) * YHeight) + row) * YWidth) + column) * Outputs) + o;
                    double product = (double)x[i] * w[(((tap * Channels) + (i % Channels)) * Outputs) + o];
                    sums[at] += product;
                    magnitudes[at] += Math.Abs(product);
                }
            }
        }

        return (sums, magnitudes);
    }
}
