using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using KernelAD.KernelCompiler.Ptx;
using KernelAD.Kernels;

namespace KernelAD.KernelCompiler;

/// <summary>Compiles kernels to the PTX that is shipped: ILGPU at O1 (at O2 it drops the reconvergence of divergent loops), then our passes, then the lint.</summary>
internal sealed class PtxCompiler : IDisposable
{
    private readonly Context _context = Context.Create(builder => builder.Optimize(OptimizationLevel.O1));
    private readonly Dictionary<KernelTarget, PTXBackend> _backends;

    public PtxCompiler() => _backends = new()
    {
        [KernelTarget.Sm75] = new PTXBackend(_context, CudaArchitecture.SM_75, CudaInstructionSet.ISA_65, null!),
        [KernelTarget.Sm80] = new PTXBackend(_context, CudaArchitecture.SM_80, CudaInstructionSet.ISA_70, null!),
    };

    /// <summary>Compiles a kernel for one of its targets.</summary>
    /// <exception cref="KernelException">ILGPU cannot compile it, or the result breaks a rule.</exception>
    public PtxText Compile(KernelDefinition kernel, KernelTarget target)
    {
        EntryPointDescription entry = EntryPointDescription.FromExplicitlyGroupedKernel(kernel.Methods[target]);
        PTXCompiledKernel compiled;
        try
        {
            compiled = (PTXCompiledKernel)_backends[target].Compile(entry, new KernelSpecialization(kernel.Threads, kernel.MinBlocks));
        }
        catch (Exception e) when (e is InternalCompilerException or NotSupportedException)
        {
            throw new KernelException(kernel.Name, $"ILGPU cannot compile it for {target}: {(e.InnerException ?? e).Message}");
        }

        PtxText text = Renaming.Apply(CopyPropagation.Apply(SlotPromotion.Apply(PtxText.Parse(kernel.Name, compiled.PTXAssembly))), kernel.Name);
        PtxLint.Check(kernel, target, text);
        return text;
    }

    public void Dispose()
    {
        foreach (PTXBackend backend in _backends.Values)
        {
            backend.Dispose();
        }

        _context.Dispose();
    }
}
