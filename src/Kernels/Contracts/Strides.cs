namespace KernelAD.Kernels;

/// <summary>Distances in elements between neighbours along up to six axes, innermost first; 0 repeats an element.</summary>
internal struct Strides
{
    /// <summary>Along the innermost axis.</summary>
    public int Axis0;

    /// <summary>Along the next axis.</summary>
    public int Axis1;

    /// <summary>Along the next axis.</summary>
    public int Axis2;

    /// <summary>Along the next axis.</summary>
    public int Axis3;

    /// <summary>Along the next axis.</summary>
    public int Axis4;

    /// <summary>Along the outermost axis.</summary>
    public int Axis5;
}
