namespace KernelAD.Kernels;

/// <summary>A distance of two feature vectors.</summary>
internal enum DistanceMeasure
{
    /// <summary>1 − a·b / (max(‖a‖, 1e−8) · max(‖b‖, 1e−8)).</summary>
    Cosine,

    /// <summary>‖a − b‖.</summary>
    Euclidean,
}

/// <summary>
/// Arguments of the distance maps: y[n, t] = scale · distance(a[n, t, :], b[n, t, :]) + addend[n, t], all float32, y and addend dense.
/// <para><c>token_distance</c>: the channels of a token are contiguous; a warp a token: blocks of <see cref="Threads"/>, grid (⌈Tokens /
/// <see cref="TokensPerBlock"/>⌉, N).</para>
/// <para><c>plane_distance</c>: the tokens of a channel are contiguous, channels lie AStride and BStride apart (Euclidean only): blocks of
/// <see cref="Threads"/>, grid (⌈Tokens / 32⌉, N), <see cref="PlaneSharedBytes"/> of shared memory.</para>
/// </summary>
internal struct DistanceArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 256;

    /// <summary>Tokens of a block of token_distance.</summary>
    public const int TokensPerBlock = Threads / 32;

    /// <summary>Shared memory of a block of plane_distance.</summary>
    public const int PlaneSharedBytes = Threads * sizeof(float);

    /// <summary>a; of a table with a class token, the address of the first row that counts.</summary>
    public long A;

    /// <summary>b, likewise.</summary>
    public long B;

    /// <summary>What is added; or 0. May be y.</summary>
    public long Addend;

    /// <summary>y.</summary>
    public long Y;

    /// <summary>Distance of pictures of a in elements.</summary>
    public long ABatchStride;

    /// <summary>Distance of pictures of b in elements.</summary>
    public long BBatchStride;

    /// <summary>Tokens of a picture.</summary>
    public int Tokens;

    /// <summary>Channels of a token.</summary>
    public int Width;

    /// <summary>Distance of tokens of a (token_distance) or of its channels (plane_distance) in elements.</summary>
    public int AStride;

    /// <summary>The same of b.</summary>
    public int BStride;

    /// <summary>The distance.</summary>
    public DistanceMeasure Measure;

    /// <summary>scale.</summary>
    public float Scale;
}
