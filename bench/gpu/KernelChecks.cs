using NUnit.Framework.Api;
using NUnit.Framework.Interfaces;

namespace KernelAD.GpuChecks;

/// <summary>The tests of the kernels, run by NUnit's own runner on a device.</summary>
internal static class KernelChecks
{
    private const string Namespace = "KernelAD.Kernels.Tests";

    /// <summary>
    /// The families of kernels: each is run in a process of its own, because a kernel's fault leaves the context unusable for those after it.
    /// </summary>
    public static IEnumerable<string> Families => typeof(KernelChecks).Assembly.GetTypes()
        .Where(t => t.Namespace == Namespace && t.GetMethods().Any(m => m.GetCustomAttributes(inherit: false).Any(a => a is ITestBuilder or ISimpleTestBuilder)))
        .Select(t => t.Name)
        .Order(StringComparer.Ordinal);

    /// <summary>Runs a family.</summary>
    /// <param name="device">The device.</param>
    /// <param name="family">The test class.</param>
    /// <param name="contains">Only tests whose full name contains this; null: all.</param>
    /// <param name="output">Receives one line a test, and one before them that says how many there are.</param>
    /// <returns>Whether all passed.</returns>
    public static bool Run(Device device, string family, string? contains, JsonLines output)
    {
        Kernels.Tests.TestDevice.Use(device);
        // A context that lives as long as the run: the tests' own references come and go, which would otherwise destroy and rebuild it.
        using Interop.CudaContext? kept = device.IsEmulated ? null : device.Driver(default).RetainPrimaryContext(device.Ordinal);
        NUnitTestAssemblyRunner runner = new(new DefaultTestAssemblyBuilder());
        runner.Load(typeof(KernelChecks).Assembly, new Dictionary<string, object> { ["NumberOfTestWorkers"] = device.IsEmulated ? Environment.ProcessorCount : 0 });
        Chosen chosen = new($"{Namespace}.{family}", contains);
        int expected = runner.CountTestCases(chosen);
        output.Add(json =>
        {
            json.WriteString("family", family);
            json.WriteNumber("expected", expected);
        });
        Listener listener = new(family, output);
        runner.Run(listener, chosen);
        Console.WriteLine($"{family} on {device.MeasuredOn}: {listener.Passed} passed, {listener.Failed} failed, {listener.Skipped} skipped of {expected}");
        return expected > 0 && listener.Failed == 0 && listener.Passed + listener.Skipped == expected;
    }

    /// <summary>Tests of one class.</summary>
    private sealed class Chosen(string type, string? contains) : ITestFilter
    {
        public bool Pass(ITest test) => test.IsSuite || IsExplicitMatch(test);

        public bool IsExplicitMatch(ITest test) =>
            test.ClassName == type && (contains is null || test.FullName.Contains(contains, StringComparison.Ordinal));

        public TNode ToXml(bool recursive) => new("filter");

        public TNode AddToXml(TNode parentNode, bool recursive) => parentNode.AddElement("filter");
    }

    /// <summary>Writes results down; on the emulator, tests run side by side.</summary>
    private sealed class Listener(string family, JsonLines output) : ITestListener
    {
        private readonly Lock _lock = new();

        public int Passed { get; private set; }

        public int Failed { get; private set; }

        public int Skipped { get; private set; }

        public void TestFinished(ITestResult result)
        {
            if (result.Test.IsSuite)
            {
                return;
            }

            lock (_lock)
            {
                Note(result);
            }
        }

        public void TestStarted(ITest test)
        {
        }

        public void TestOutput(TestOutput output)
        {
        }

        public void SendMessage(TestMessage message)
        {
        }

        private void Note(ITestResult result)
        {
            string outcome = result.ResultState.Status switch
            {
                TestStatus.Passed or TestStatus.Warning => "passed",
                TestStatus.Failed => "failed",
                _ => "skipped",
            };
            Passed += outcome == "passed" ? 1 : 0;
            Failed += outcome == "failed" ? 1 : 0;
            Skipped += outcome == "skipped" ? 1 : 0;
            output.Add(json =>
            {
                json.WriteString("family", family);
                json.WriteString("test", result.FullName[(Namespace.Length + 1)..]);
                json.WriteString("outcome", outcome);
                json.WriteNumber("seconds", result.Duration);
                if (outcome != "passed")
                {
                    json.WriteString("message", result.Message);
                }
            });
            if (outcome == "failed")
            {
                Console.Error.WriteLine($"FAILED {result.FullName}: {result.Message}");
            }
        }
    }
}
