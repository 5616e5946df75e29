using ILGPU; using ILGPU.Runtime; using ILGPU.Runtime.Cuda; using ILGPU.Backends.PTX; using ILGPU.Backends.EntryPoints;
using KernelAD.Kernels; using KernelAD.KernelCompiler.Ptx;
using Context ctx = Context.Create(b => b.Optimize(OptimizationLevel.O1));
foreach (var d in KernelCatalog.All) foreach (var (t, m) in d.Methods) {
 using var be = new PTXBackend(ctx, t == KernelTarget.Sm80 ? CudaArchitecture.SM_80 : CudaArchitecture.SM_75, t == KernelTarget.Sm80 ? CudaInstructionSet.ISA_70 : CudaInstructionSet.ISA_65, null!);
 var sw = System.Diagnostics.Stopwatch.StartNew();
 var k = (PTXCompiledKernel)be.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(m), new KernelSpecialization(d.Threads, d.MinBlocks));
 var a = sw.ElapsedMilliseconds;
 var p = PtxText.Parse(d.Name, k.PTXAssembly);
 var text = Renaming.Apply(CopyPropagation.Apply(SlotPromotion.Apply(p)), d.Name).Write();
 Console.WriteLine($"{d.Name} {t} {k.PTXAssembly.Length} -> {text.Length} {a} {sw.ElapsedMilliseconds-a} ms");
 File.WriteAllText($"/work/notes/ptx-samples/{d.Name}.{t}.ptx", text);
}
