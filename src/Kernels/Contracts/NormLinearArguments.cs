namespace KernelAD.Kernels;

/// <summary>
/// Arguments of the kernels that normalise the rows of x before they multiply: y = f(LayerNorm(x)·Wᵀ + bias) · scale + residual. x is float32 whatever the operand type; K is
/// a multiple of 8 and rows are 16-byte aligned.
/// </summary>
internal struct NormLinearArguments
{
    /// <summary>The product; its X are the rows before the norm.</summary>
    public LinearArguments Linear;

    /// <summary>The norm's weight, K floats.</summary>
    public long NormWeight;

    /// <summary>The norm's bias, K floats.</summary>
    public long NormBias;

    /// <summary>ε of the norm.</summary>
    public float Epsilon;

    /// <summary>Fills the structure to a multiple of 8 bytes.</summary>
    public int Unused;
}
