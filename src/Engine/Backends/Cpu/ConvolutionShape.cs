using KernelAD.Graph;

namespace KernelAD.Backends.Cpu;

/// <summary>Extents of a convolution over channels-last pictures.</summary>
/// <param name="Height">Rows of the picture.</param>
/// <param name="Width">Columns of the picture.</param>
/// <param name="Channels">C.</param>
/// <param name="OutputHeight">Rows of the result.</param>
/// <param name="OutputWidth">Columns of the result.</param>
/// <param name="OutputChannels">O.</param>
/// <param name="KernelHeight">Rows of the kernel.</param>
/// <param name="KernelWidth">Columns of the kernel.</param>
/// <param name="Stride">Distance of windows.</param>
/// <param name="Padding">Zeros around the picture.</param>
/// <param name="Groups">Groups of channels that do not see each other.</param>
internal sealed record ConvolutionShape(
    int Height,
    int Width,
    int Channels,
    int OutputHeight,
    int OutputWidth,
    int OutputChannels,
    int KernelHeight,
    int KernelWidth,
    int Stride,
    Padding Padding,
    int Groups);

/// <summary>Extents of a transposed convolution over channels-last pictures.</summary>
/// <param name="Height">Rows of the picture.</param>
/// <param name="Width">Columns of the picture.</param>
/// <param name="Channels">C.</param>
/// <param name="OutputHeight">Rows of the result.</param>
/// <param name="OutputWidth">Columns of the result.</param>
/// <param name="OutputChannels">O.</param>
/// <param name="Kernel">Side of the kernel.</param>
/// <param name="Stride">Distance at which pixels add their kernels.</param>
/// <param name="Padding">Rows and columns cut off on each side.</param>
internal sealed record TransposedConvolutionShape(
    int Height, int Width, int Channels, int OutputHeight, int OutputWidth, int OutputChannels, int Kernel, int Stride, int Padding);
