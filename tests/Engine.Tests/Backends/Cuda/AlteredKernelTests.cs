using KernelAD.Emulator;
using KernelAD.Engine.Tests.Golden;
using KernelAD.Golden;
using KernelAD.Interop;
using KernelAD.Kernels.Tests;

namespace KernelAD.Engine.Tests.Backends.Cuda;

/// <summary>
/// Golden cases judge the kernels: with one arithmetic instruction of a kernel altered, the models that use it must miss their official results. Which of a
/// kernel's instructions a small model depends on differs (its epilogues have functions that the model has not), so some are tried, and one at least has to be
/// seen.
/// </summary>
[Category("Emulated")]
public sealed class AlteredKernelTests
{
    private const int Tries = 40;

    public static IEnumerable<TestCaseData> Cases() =>
        from data in GoldenTests.Cases()
        let folder = (string)data.Arguments[0]!
        let model = Path.GetFileName(Path.GetDirectoryName(folder))!
        where Path.GetFileName(folder) == "tiny"
        from precision in model switch
        {
            "vitad" => [Precision.Fp32, Precision.Fp16],
            "intra" => [Precision.Fp32],
            "uniad" => [Precision.Fp16],
            _ => (Precision[])[],
        }
        select new TestCaseData(folder, precision).SetArgDisplayNames(model, $"{precision}");

    [TestCaseSource(nameof(Cases))]
    public void A_golden_case_fails_with_an_altered_instruction_in_any_kernel_with_arithmetic(string folder, Precision precision)
    {
        AlteredDriver shipped = new(kernel: null, line: 0, altered: "");
        Assert.That(Passes(shipped), Is.True, "as shipped");

        List<string> unseen = [];
        foreach ((string kernel, string ptx) in shipped.Loaded)
        {
            List<(int Line, string Altered)> alterations = Alterations.Choose(ptx.Split('\n'), Tries);
            int tried = 0;
            bool seen = alterations.Any(a => ++tried > 0 && !Passes(new AlteredDriver(kernel, a.Line, a.Altered)));
            TestContext.Out.WriteLine($"{kernel}: {(alterations.Count == 0 ? "no arithmetic" : seen ? $"seen, alteration {tried}" : $"{tried} not seen")}");
            if (alterations.Count > 0 && !seen)
            {
                unseen.Add(kernel);
            }
        }

        Assert.That(shipped.Loaded, Is.Not.Empty);
        Assert.That(unseen, Is.Empty);

        bool Passes(AlteredDriver driver)
        {
            GoldenCase golden = GoldenCase.Open(folder);
            DetectorOptions options = new() { Device = "cuda", Precision = precision, Driver = driver };
            using AnomalyDetector detector = AnomalyDetector.Load(GoldenModels.FileOf(folder), options);
            return golden.Compare(detector, taps: true, fast: precision != Precision.Fp32).All(c => c.Passed || c.Note is not null);
        }
    }

    /// <summary>The emulator, given a line of one kernel's text in another wording.</summary>
    private sealed class AlteredDriver(string? kernel, int line, string altered) : EmulatedDriver(new EmulatorOptions { Multiprocessors = 16 }), ICudaDriver
    {
        /// <summary>The kernels that were loaded, as shipped.</summary>
        public Dictionary<string, string> Loaded { get; } = [];

        CudaModule ICudaDriver.LoadModule(CudaContext context, string name, string ptx)
        {
            Loaded[name] = ptx;
            string[] lines = ptx.Split('\n');
            if (name == kernel)
            {
                lines[line] = altered;
            }

            return LoadModule(context, name, string.Join('\n', lines));
        }
    }
}
