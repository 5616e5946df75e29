namespace KernelAD.Kernels;

/// <summary>
/// Arguments of <c>mixture_likelihood</c>: with L_k = ½·(c + Σ_d [v_dk + (x_d − μ_dk)²·e^(−v_dk)]), y = Σ_k π_k·L_k or −log Σ_k π_k·e^(−L_k), row by row; float32.
/// <para>Blocks of <see cref="Threads"/>, a block a row, <see cref="SharedBytes"/> of shared memory.</para>
/// </summary>
internal struct MixtureLikelihoodArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 256;

    /// <summary>x [rows, Width].</summary>
    public long X;

    /// <summary>π [rows, Components].</summary>
    public long Shares;

    /// <summary>μ [rows, Width · Components], index d · Components + k.</summary>
    public long Means;

    /// <summary>v, likewise.</summary>
    public long LogVariances;

    /// <summary>y [rows].</summary>
    public long Y;

    /// <summary>Elements of x.</summary>
    public int Width;

    /// <summary>Gaussians.</summary>
    public int Components;

    /// <summary>c.</summary>
    public float Constant;

    /// <summary>1 for the logarithm of the sum, 0 for the sum.</summary>
    public int LogSumExp;

    /// <summary>Shared memory of a block: a sum of each thread and L_k.</summary>
    public static int SharedBytes(int components) => (Threads + components) * sizeof(float);
}
