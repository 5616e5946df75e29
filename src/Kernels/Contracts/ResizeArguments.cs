namespace KernelAD.Kernels;

/// <summary>
/// Arguments of <c>resize</c>: scale · bilinear interpolation of planes as torch.nn.functional.interpolate does it, without antialiasing; float32,
/// dense. With corners aligned, src = dst·(in − 1)/(out − 1); without, src = max((dst + ½)·in/out − ½, 0).
/// <para>Blocks of <see cref="Threads"/>, grid (⌈YWidth · Channels / Threads⌉, YHeight, planes of one launch, up to 65535), no shared memory.</para>
/// </summary>
internal struct ResizeArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 64;

    /// <summary>x [planes, Height, Width, Channels].</summary>
    public long X;

    /// <summary>y [planes, YHeight, YWidth, Channels].</summary>
    public long Y;

    /// <summary>Channels that lie beside each other; 1 of planes.</summary>
    public Divisor Channels;

    /// <summary>Rows of a plane of x.</summary>
    public int Height;

    /// <summary>Columns of a plane of x.</summary>
    public int Width;

    /// <summary>Rows of a plane of y.</summary>
    public int YHeight;

    /// <summary>Columns of a plane of y.</summary>
    public int YWidth;

    /// <summary>Source rows per row of y, see <see cref="Step"/>.</summary>
    public float RowStep;

    /// <summary>Source columns per column of y, see <see cref="Step"/>.</summary>
    public float ColumnStep;

    /// <summary>1 if the corners' centres meet, else 0.</summary>
    public int AlignCorners;

    /// <summary>scale.</summary>
    public float Scale;

    /// <summary>Makes the size a multiple of 8.</summary>
    public int Reserved;

    /// <summary>Source pixels per pixel of the result, in float32 as PyTorch divides.</summary>
    public static float Step(int input, int output, bool alignCorners) =>
        !alignCorners ? (float)input / output : output > 1 ? (float)(input - 1) / (output - 1) : 0;
}
