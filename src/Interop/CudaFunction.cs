namespace KernelAD.Interop;

/// <summary>A kernel in a loaded module; calls that use it throw <see cref="ObjectDisposedException"/> once the module is unloaded.</summary>
/// <param name="Module">The module that it is in.</param>
/// <param name="Handle">The driver's handle.</param>
/// <param name="Name">The entry's name in the PTX.</param>
public readonly record struct CudaFunction(CudaModule Module, nint Handle, string Name);
