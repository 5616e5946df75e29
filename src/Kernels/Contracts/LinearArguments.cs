namespace KernelAD.Kernels;

/// <summary>The function that a Linear's epilogue applies.</summary>
internal enum EpilogueFunction
{
    /// <summary>The identity.</summary>
    None,

    /// <summary>max(x, 0).</summary>
    Relu,

    /// <summary>x·Φ(x), the exact GELU.</summary>
    Gelu,

    /// <summary>x·sigmoid(x).</summary>
    Swish,

    /// <summary>1 / (1 + e^−x).</summary>
    Sigmoid,

    /// <summary>tanh(x).</summary>
    Tanh,

    /// <summary>log(1 + e^x).</summary>
    Softplus,
}

/// <summary>How a kernel writes its results.</summary>
internal enum StorageType
{
    /// <summary>float32.</summary>
    Float,

    /// <summary>float32, rounded to tf32 because a tf32 product reads it next.</summary>
    Tf32,

    /// <summary>float16.</summary>
    Half,
}

/// <summary>
/// Arguments of the Linear kernels: y[m, n] = f(Σ_k x[m, k]·w[n, k] + bias[n]) · scale[n] + residual[m, n], or with
/// <see cref="ActivateSum"/> f((Σ_k x[m, k]·w[n, k] + bias[n]) · scale[n] + residual[m, n]). Addresses are device addresses, 0 where the
/// operand is absent; strides are in elements. Shared by the kernels (compiled to PTX) and the engine that launches them.
/// </summary>
internal struct LinearArguments
{
    /// <summary>x, rows K-contiguous and 16-byte aligned; columns from K to the next multiple of 8 must be finite.</summary>
    public long X;

    /// <summary>w in panels (see the engine's weight packing), zero beyond N and K.</summary>
    public long Weight;

    /// <summary>bias, float32, padded with zeros to whole panels; or 0.</summary>
    public long Bias;

    /// <summary>scale, float32, padded to whole panels; or 0.</summary>
    public long Scale;

    /// <summary>residual, float32; or 0. May be y itself.</summary>
    public long Residual;

    /// <summary>y. With splits, split s writes its partial sums at y + s·M·YStride floats.</summary>
    public long Y;

    /// <summary>Rows.</summary>
    public int M;

    /// <summary>Columns of the result.</summary>
    public int N;

    /// <summary>Length of the sums.</summary>
    public int K;

    /// <summary>Distance of rows of x.</summary>
    public int XStride;

    /// <summary>Distance of rows of y.</summary>
    public int YStride;

    /// <summary>Distance of rows of the residual.</summary>
    public int ResidualStride;

    /// <summary>K tiles that one split adds up; all of them if there is one split.</summary>
    public int TilesPerSplit;

    /// <summary>f.</summary>
    public EpilogueFunction Function;

    /// <summary>Type of y.</summary>
    public StorageType Type;

    /// <summary>1 if rows of y and of the residual may be accessed by four elements at once, else 0.</summary>
    public int Vectors;

    /// <summary>1 if f is applied last, else 0.</summary>
    public int ActivateSum;

    /// <summary>Makes the size a multiple of 8.</summary>
    public int Reserved;
}
