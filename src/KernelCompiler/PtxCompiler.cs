using System.Reflection;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using KernelAD.KernelCompiler.Ptx;
using KernelAD.Kernels;

namespace KernelAD.KernelCompiler;

/// <summary>
/// Compiles kernels to the PTX that is shipped: ILGPU at O1 (at O2 it drops the reconvergence of divergent loops), then our passes, then the lint. Thread-safe.
/// </summary>
internal static class PtxCompiler
{
    // ILGPU numbers everything through the whole process and lets the order of some moves depend on the numbers. Counting from the same number, one kernel
    // after the other, each in a context of its own, the text of a kernel does not depend on what was compiled before it.
    private static readonly FieldInfo IdCounter =
        typeof(Context).Assembly.GetType("ILGPU.InstanceId", throwOnError: true)!.GetField("instanceIdCounter", BindingFlags.Static | BindingFlags.NonPublic)!;

    private static readonly Lock Turn = new();

    /// <summary>Compiles a kernel for one of its targets.</summary>
    /// <exception cref="KernelException">ILGPU cannot compile it, or the result breaks a rule.</exception>
    public static PtxText Compile(KernelDefinition kernel, KernelTarget target)
    {
        PtxText raw;
        lock (Turn)
        {
            raw = PtxText.Parse(kernel.Name, CompileRaw(kernel, target));
        }

        PtxText text = Renaming.Apply(CopyPropagation.Apply(SlotPromotion.Apply(raw)), kernel.Name);
        PtxLint.Check(kernel, target, text);
        return text;
    }

    private static string CompileRaw(KernelDefinition kernel, KernelTarget target)
    {
        IdCounter.SetValue(null, 0L);
        (CudaArchitecture architecture, CudaInstructionSet instructions) = target == KernelTarget.Sm75
            ? (CudaArchitecture.SM_75, CudaInstructionSet.ISA_65)
            : (CudaArchitecture.SM_80, CudaInstructionSet.ISA_70);
        using Context context = Context.Create(builder => builder.Optimize(OptimizationLevel.O1));
        using PTXBackend backend = new(context, architecture, instructions, null!);
        try
        {
            EntryPointDescription entry = EntryPointDescription.FromExplicitlyGroupedKernel(kernel.Methods[target]);
            return ((PTXCompiledKernel)backend.Compile(entry, new KernelSpecialization(kernel.Threads, kernel.MinBlocks))).PTXAssembly;
        }
        catch (Exception e) when (e is InternalCompilerException or NotSupportedException)
        {
            throw new KernelException(kernel.Name, $"ILGPU cannot compile it for {target}: {(e.InnerException ?? e).Message}");
        }
    }
}
