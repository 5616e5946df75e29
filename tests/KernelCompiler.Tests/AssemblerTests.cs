using KernelAD.Kernels;

namespace KernelAD.KernelCompiler.Tests;

/// <summary>
/// Every kernel through NVIDIA's assembler, for every architecture that will run it. Where the assembler is not there (see build/cuda-assembler.sh) these tests
/// are skipped.
/// </summary>
[Category("Assembler")]
public sealed class AssemblerTests
{
    private static readonly Dictionary<KernelTarget, int[]> Architectures = new() { [KernelTarget.Sm75] = [75], [KernelTarget.Sm80] = [80, 86, 87, 89, 90] };

    public static IEnumerable<TestCaseData> Cases() =>
        from kernel in KernelCatalog.All
        from target in kernel.Methods.Keys
        from architecture in Architectures[target]
        select new TestCaseData(kernel, target, architecture).SetArgDisplayNames(kernel.Name, $"sm_{architecture}");

    [TestCaseSource(nameof(Cases))]
    [Parallelizable]
    public void Assembles_without_spills_within_its_registers(KernelDefinition kernel, KernelTarget target, int architecture)
    {
        if (!CudaAssembler.IsAvailable)
        {
            Assert.Ignore("ptxas and nvdisasm are not there: set KERNELAD_CUDA_ASSEMBLER to the folder that build/cuda-assembler.sh prints");
        }

        Assembled assembled = CudaAssembler.Assemble(CompiledKernels.All[(kernel.Name, target)].Ptx, architecture);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(assembled.Log, Does.Not.Contain("warning"));
            Assert.That(assembled.StackBytes, Is.Zero, "stack frame");
            Assert.That(assembled.SpillBytes, Is.Zero, "spill stores");
            Assert.That(assembled.Sass.Select(i => i.Opcode), Has.None.Matches("^(LDL|STL)"));
            Assert.That(assembled.Registers, Is.LessThanOrEqualTo(kernel.Registers), "registers");
            Assert.That(assembled.Registers * kernel.Threads * kernel.MinBlocks, Is.LessThanOrEqualTo(65536), "registers of the blocks that have to fit a multiprocessor");
        }

        string share = "";
        if (kernel.MainLoop is MainLoop loop && architecture >= 80)
        {
            IReadOnlyList<SassInstruction> body = CudaAssembler.HottestLoop(assembled.Sass, loop.Instruction);
            double found = body.Count(i => i.Opcode.StartsWith(loop.Instruction, StringComparison.Ordinal)) / (double)body.Count;
            Assert.That(found, Is.GreaterThanOrEqualTo(loop.Share), $"share of {loop.Instruction} in the main loop of {body.Count} instructions");
            share = FormattableString.Invariant($", {loop.Instruction} {found:P1} of {body.Count}");
        }

        TestContext.Out.WriteLine($"{kernel.Name,-28} sm_{architecture} {assembled.Registers,4} registers, {kernel.SharedBytes,6} bytes of shared memory{share}");
    }
}
