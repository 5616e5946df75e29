namespace KernelAD.Interop;

/// <summary>What a driver call that failed said.</summary>
/// <param name="Call">The driver function's exported name, e.g. <c>cuMemAlloc_v2</c>.</param>
/// <param name="Code">The <c>CUresult</c>; see <see cref="CudaResult"/> for those that KernelAD tells apart.</param>
/// <param name="Name">The driver's name for the code, e.g. <c>CUDA_ERROR_OUT_OF_MEMORY</c>.</param>
/// <param name="Text">The driver's explanation, e.g. <c>out of memory</c>.</param>
public readonly record struct CudaError(string Call, int Code, string Name, string Text)
{
    /// <summary>One sentence: the call, the name, the number and the text.</summary>
    public override string ToString() => $"{Call} failed with {Name} ({Code}): {Text}.";
}
