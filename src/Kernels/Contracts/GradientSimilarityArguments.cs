namespace KernelAD.Kernels;

/// <summary>
/// Arguments of <c>gradient_similarity</c>: (2·g_a·g_b + c) / (g_a² + g_b² + c + 1e−12), g = √(h² + v² + 1e−12) of the Prewitt gradients divided by
/// 3 with zeros beyond the border, plane by plane; float32, dense.
/// <para>Blocks of <see cref="Threads"/>, a thread a column of <see cref="StripRows"/> pixels: grid (⌈Width / Threads⌉, ⌈Height / StripRows⌉, planes
/// of one launch), no shared memory. A launch takes up to 65535 planes.</para>
/// </summary>
internal struct GradientSimilarityArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 64;

    /// <summary>Rows that a thread walks down.</summary>
    public const int StripRows = 8;

    /// <summary>a [planes, Height, Width].</summary>
    public long A;

    /// <summary>b, likewise.</summary>
    public long B;

    /// <summary>y, likewise; neither a nor b.</summary>
    public long Y;

    /// <summary>Rows of a plane.</summary>
    public int Height;

    /// <summary>Columns of a plane.</summary>
    public int Width;

    /// <summary>c.</summary>
    public float C;

    /// <summary>Makes the size a multiple of 8.</summary>
    public int Reserved;
}
