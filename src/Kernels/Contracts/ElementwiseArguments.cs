namespace KernelAD.Kernels;

/// <summary>How two operands become one.</summary>
internal enum Combination
{
    /// <summary>a alone.</summary>
    None,

    /// <summary>a + b.</summary>
    Add,

    /// <summary>a − b.</summary>
    Subtract,

    /// <summary>a · b.</summary>
    Multiply,

    /// <summary>a / b, rounded once.</summary>
    Divide,
}

/// <summary>Functions of one number.</summary>
internal enum ElementFunction
{
    /// <summary>The identity.</summary>
    None,

    /// <summary>max(x, 0); NaN stays.</summary>
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

    /// <summary>x².</summary>
    Square,

    /// <summary>√x.</summary>
    Sqrt,

    /// <summary>|x|.</summary>
    Abs,

    /// <summary>1/√x.</summary>
    ReciprocalSqrt,
}

/// <summary>
/// Arguments of <c>elementwise</c>: y = scale · f(a ∘ b) + offset over up to six axes, each operand with strides of its own. With neither ∘ nor f it
/// is a strided copy: permute, slice, broadcast, concat (a copy for each part), rows padded with zeros, and conversion between the storage types.
/// <para>Axes are counted from the innermost one; neighbouring axes that every operand walks in one stride should be merged. Blocks of <see cref="Threads"/>,
/// grid ⌈Units / <see cref="Threads"/>⌉, no shared memory.</para>
/// </summary>
internal struct ElementwiseArguments
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 256;

    /// <summary>a.</summary>
    public long A;

    /// <summary>b; 0 if there is none.</summary>
    public long B;

    /// <summary>y. May be a or b if its strides are the same.</summary>
    public long Y;

    /// <summary>Strides of a.</summary>
    public Strides AStrides;

    /// <summary>Strides of b.</summary>
    public Strides BStrides;

    /// <summary>Strides of y.</summary>
    public Strides YStrides;

    /// <summary>Extent of axis 0 in units.</summary>
    public Divisor Extent0;

    /// <summary>Extent of axis 1.</summary>
    public Divisor Extent1;

    /// <summary>Extent of axis 2.</summary>
    public Divisor Extent2;

    /// <summary>Extent of axis 3.</summary>
    public Divisor Extent3;

    /// <summary>Extent of axis 4. That of axis 5 is what remains of <see cref="Units"/>.</summary>
    public Divisor Extent4;

    /// <summary>Number of axes, 1 … 6; extents and strides beyond them are not read.</summary>
    public int Axes;

    /// <summary>Product of all extents, below 2^31.</summary>
    public int Units;

    /// <summary>
    /// 1: a unit is four neighbours along axis 0, where the stride of y is 1 and those of a and b are 0 or 1; addresses, other strides and
    /// <see cref="Columns"/> are multiples of four elements. 0: a unit is one element.
    /// </summary>
    public int Vectors;

    /// <summary>Elements along axis 0 that a and b have. Beyond them y is zero.</summary>
    public int Columns;

    /// <summary>∘.</summary>
    public Combination Combination;

    /// <summary>f.</summary>
    public ElementFunction Function;

    /// <summary>scale; 1 if there is none.</summary>
    public float Scale;

    /// <summary>offset; 0 if there is none.</summary>
    public float Offset;

    /// <summary>Type of a.</summary>
    public StorageType AType;

    /// <summary>Type of b.</summary>
    public StorageType BType;

    /// <summary>Type of y.</summary>
    public StorageType Type;
}
