namespace KernelAD.KernelCompiler;

/// <summary>A kernel cannot be shipped as it is.</summary>
internal sealed class KernelException(string kernel, string message) : Exception($"{kernel}: {message}")
{
    /// <summary>The kernel's name.</summary>
    public string Kernel { get; } = kernel;
}
