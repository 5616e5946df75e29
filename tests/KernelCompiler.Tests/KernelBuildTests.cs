using System.Reflection;
using KernelAD.KernelCompiler.Ptx;
using KernelAD.Kernels;

namespace KernelAD.KernelCompiler.Tests;

public sealed class KernelBuildTests
{
    private string _folder = "";

    [SetUp]
    public void CreateFolder() => _folder = Directory.CreateTempSubdirectory("kernelad-compiler-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void The_same_sources_give_the_same_bytes_in_any_order_of_compilation()
    {
        foreach (KernelDefinition kernel in KernelCatalog.All.Reverse().Where((_, i) => i % 5 == 0))
        {
            foreach (KernelTarget target in kernel.Methods.Keys)
            {
                Assert.That(PtxCompiler.Compile(kernel, target).Write(), Is.EqualTo(CompiledKernels.All[(kernel.Name, target)].Ptx), kernel.Name);
            }
        }

        string first = Path.Combine(_folder, "a.zip"), second = Path.Combine(_folder, "b.zip");
        KernelArchive.Write(first, CompiledKernels.All);
        KernelArchive.Write(second, CompiledKernels.All);
        Assert.That(File.ReadAllBytes(first), Is.EqualTo(File.ReadAllBytes(second)));
    }

    [Test]
    public void An_unchanged_kernel_is_not_compiled_again()
    {
        KernelDefinition kernel = KernelCatalog.All.First(k => k.MinBlocks > 1);
        (string first, bool isNew) = KernelBuild.Text(kernel, KernelTarget.Sm80, _folder);
        Assert.That(isNew);
        Assert.That(KernelBuild.Text(kernel, KernelTarget.Sm80, _folder), Is.EqualTo((first, false)));
        Assert.That(KernelBuild.Text(kernel with { MinBlocks = 1 }, KernelTarget.Sm80, _folder).IsNew);
        Assert.That(first, Is.EqualTo(CompiledKernels.All[(kernel.Name, KernelTarget.Sm80)].Ptx));
    }

    [Test]
    public void The_whole_catalogue_comes_from_the_cache_the_second_time()
    {
        _ = CompiledKernels.All;
        (IReadOnlyDictionary<(string Kernel, KernelTarget Target), CompiledKernel> texts, int compiled) = KernelBuild.Run(Fixture.KernelCache);
        Assert.That(compiled, Is.Zero);
        Assert.That(texts, Is.EquivalentTo(CompiledKernels.All));
    }

    [Test]
    public void Fingerprints_tell_kernels_targets_and_definitions_apart()
    {
        List<string> all = [.. KernelCatalog.All.SelectMany(k => k.Methods.Keys.Select(t => SourceFingerprint.Of(k, t)))];
        Assert.That(all, Is.Unique);
        KernelDefinition kernel = KernelCatalog.All[0];
        Assert.That(SourceFingerprint.Of(kernel with { MinBlocks = kernel.MinBlocks + 1 }, KernelTarget.Sm80), Is.Not.EqualTo(SourceFingerprint.Of(kernel, KernelTarget.Sm80)));
    }

    [Test]
    public void A_kernel_is_made_of_its_own_family_and_products_share_theirs()
    {
        HashSet<string> families = [.. KernelCatalog.All.SelectMany(k => k.Methods.Values).Select(m => m.DeclaringType!.FullName!)];
        foreach (MethodInfo method in KernelCatalog.All.SelectMany(k => k.Methods.Values))
        {
            IEnumerable<string> others = SourceFingerprint.Reached(method).Keys.Where(t => families.Contains(t) && t != method.DeclaringType!.FullName);
            bool isProduct = method.DeclaringType!.Name is "Convolution" or "TransposedConvolution";
            Assert.That(others, isProduct ? Is.SubsetOf(["KernelAD.Kernels.Linear"]) : Is.Empty, $"{method}");
        }
    }

    [Test]
    public void Every_argument_structure_has_the_size_that_the_ptx_states()
    {
        foreach (KernelDefinition kernel in KernelCatalog.All)
        {
            foreach ((KernelTarget target, MethodInfo method) in kernel.Methods)
            {
                Type arguments = method.GetParameters().Single().ParameterType;
                Assert.That(CompiledKernels.All[(kernel.Name, target)].ParameterBytes, Is.EqualTo(System.Runtime.InteropServices.Marshal.SizeOf(arguments)), kernel.Name);
            }
        }
    }

    [TestCase("@%p1 bra.uni L0;", "bra.uni")]
    [TestCase("ld.local.f32 %f1, [%rd1];", "local memory")]
    [TestCase("call (%f1), f, (%f2);", "call")]
    [TestCase("ld.f32 %f1, [%rd1];", "state space")]
    [TestCase("st.v4.f32 [%rd1], {%f1,%f2,%f3,%f4};", "state space")]
    [TestCase("{ .reg .b32 x; ld.b32 x, [%rd1]; }", "state space")]
    [TestCase("add.f64 %fd1, %fd2, %fd3;", "double precision")]
    [TestCase(".shared .align 4 .b8 tile[64];", "static shared")]
    public void The_lint_finds(string line, string what)
    {
        KernelDefinition kernel = KernelCatalog.All.First(k => k.SharedBytes == 0);
        PtxText clean = PtxText.Parse(kernel.Name, CompiledKernels.All[(kernel.Name, KernelTarget.Sm80)].Ptx);
        Assert.That(() => PtxLint.Check(kernel, KernelTarget.Sm80, clean), Throws.Nothing);
        Assert.That(
            () => PtxLint.Check(kernel, KernelTarget.Sm80, clean.With(clean.Body.Append(new PtxLine(line)))),
            Throws.TypeOf<KernelException>().With.Message.Contains(what).And.Message.Contains(kernel.Name).And.Message.Contains(line));
    }
}
