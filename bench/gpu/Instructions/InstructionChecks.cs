using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.Json;
using KernelAD.Emulator;
using KernelAD.Interop;

namespace KernelAD.GpuChecks.Instructions;

/// <summary>Runs the probes on the device and on the emulator and writes down what they did.</summary>
internal static class InstructionChecks
{
    private const int Lanes = 32, Samples = 24;

    /// <summary>Runs all that the device has.</summary>
    /// <param name="device">The device.</param>
    /// <param name="output">Receives one line a probe.</param>
    /// <param name="folder">Receives each probe's text and a file of little-endian words, its inputs, then its results; null: none.</param>
    /// <returns>Whether everything was as the PTX ISA says, and the emulator agreed wherever it leaves nothing open.</returns>
    public static bool Run(Device device, JsonLines output, string? folder)
    {
        EmulatedDriver model = device.Model();
        using Bench tested = new(device.Driver(EmulatorChecks.Memory), device.Ordinal), emulated = new(model, 0);
        int failed = 0, differing = 0, count = 0;
        foreach (Probe probe in Probes.All.Where(p => p.Architecture <= Kernels.Tests.KernelText.Number(device.Architecture)))
        {
            uint[] results = tested.Run(probe), expected = emulated.Run(probe);
            if (folder is not null)
            {
                File.WriteAllBytes(Path.Combine(folder, FileName(probe.Name)), [.. MemoryMarshal.AsBytes<uint>(probe.Values), .. MemoryMarshal.AsBytes<uint>(results)]);
                File.WriteAllText(Path.Combine(folder, Path.ChangeExtension(FileName(probe.Name), ".ptx")), probe.Ptx);
            }

            Comparison comparison = Comparison.Of(probe, results, expected);
            count++;
            failed += comparison.Passed ? 0 : 1;
            differing += comparison.Differing > 0 ? 1 : 0;
            output.Add(json => Write(json, probe, results, expected, comparison, model.Devices[0].Architecture));
            if (!comparison.Passed)
            {
                Console.Error.WriteLine(
                    $"FAILED {probe.Name}: {comparison.Differing} of {results.Length} results differ from the emulator's, "
                    + $"worst error {comparison.Worst:G3} (bound {probe.Promise?.Bound:G3} {probe.Promise?.Unit}), {comparison.Wrong} not as prescribed");
            }
        }

        Console.WriteLine($"{count} instructions on {device.MeasuredOn}: {failed} not as the PTX ISA says, {differing} differ from the emulator in some result");
        return failed == 0;
    }

    private static void Write(Utf8JsonWriter json, Probe probe, uint[] results, uint[] expected, Comparison comparison, string model)
    {
        json.WriteString("probe", probe.Name);
        json.WriteString("file", FileName(probe.Name));
        json.WriteString("compared_with", $"EMULATOR {model}");
        json.WriteBoolean("defined", probe.IsDefined);
        json.WriteNumber("results", results.Length);
        json.WriteNumber("differing", comparison.Differing);
        json.WriteNumber("largest_distance_ulp", comparison.Distance);
        json.WriteNumber("not_as_prescribed", comparison.Wrong);
        if (probe.Promise is Promise promise)
        {
            json.WriteNumber("worst_error", double.IsFinite(comparison.Worst) ? comparison.Worst : double.MaxValue);
            json.WriteNumber("bound", promise.Bound);
            json.WriteString("unit", promise.Unit);
        }

        json.WriteBoolean("passed", comparison.Passed);
        if (probe.Meaning is string meaning)
        {
            json.WriteString("meaning", meaning);
        }

        IEnumerable<int> shown = probe.Meaning is not null
            ? Enumerable.Range(0, results.Length / (Lanes * probe.Results)).Select(trial => trial * Lanes * probe.Results)
            : Enumerable.Range(0, results.Length).Where(i => results[i] != expected[i]).Take(Samples);
        json.WriteStartArray(probe.Meaning is not null ? "sums" : "samples");
        foreach (int i in shown)
        {
            json.WriteStartObject();
            if (probe.Meaning is null)
            {
                int thread = i / probe.Results;
                json.WriteString("inputs", string.Join(' ', probe.Values.Skip(thread * probe.Inputs).Take(probe.Inputs).Select(Hexadecimal)));
            }

            json.WriteString("device", Text(probe.Kind, results[i]));
            json.WriteString("emulator", Text(probe.Kind, expected[i]));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static string FileName(string probe) => string.Concat(probe.Select(c => char.IsAsciiLetterOrDigit(c) || c == '.' ? c : '_')) + ".u32";

    private static string Hexadecimal(uint word) => word.ToString("X8", CultureInfo.InvariantCulture);

    private static string Text(ResultKind kind, uint word) => kind switch
    {
        ResultKind.Single => $"{Hexadecimal(word)} ({BitConverter.UInt32BitsToSingle(word).ToString("R", CultureInfo.InvariantCulture)})",
        ResultKind.Half => $"{word.ToString("X4", CultureInfo.InvariantCulture)} ({BitConverter.UInt16BitsToHalf((ushort)word).ToString("R", CultureInfo.InvariantCulture)})",
        _ => Hexadecimal(word),
    };

    /// <summary>A driver with a context and a stream.</summary>
    private sealed unsafe class Bench : IDisposable
    {
        private readonly ICudaDriver _driver;
        private readonly CudaContext _context;
        private readonly CudaStream _stream;

        public Bench(ICudaDriver driver, int ordinal)
        {
            _driver = driver;
            _context = driver.RetainPrimaryContext(ordinal);
            _stream = driver.CreateStream(_context);
        }

        /// <summary>Runs a probe, a warp a block.</summary>
        public uint[] Run(Probe probe)
        {
            _driver.MakeCurrent(_context);
            int threads = probe.Values.Length / probe.Inputs;
            if (threads % Lanes != 0)
            {
                throw new InvalidOperationException($"{probe.Name}: {threads} lanes are no whole warps");
            }

            uint[] results = new uint[threads * probe.Results];
            using CudaModule module = _driver.LoadModule(_context, probe.Name, probe.Ptx);
            using DeviceMemory from = _driver.AllocateDevice(_context, 4L * probe.Values.Length), to = _driver.AllocateDevice(_context, 4L * results.Length);
            _driver.Fill(to.Address, 0xEE, to.Length, _stream);
            fixed (uint* values = probe.Values, found = results)
            {
                _driver.CopyToDevice(from.Address, (nint)values, from.Length, _stream);
                ulong first = from.Address.Value, second = to.Address.Value;
                nint[] parameters = [(nint)Unsafe.AsPointer(ref first), (nint)Unsafe.AsPointer(ref second)];
                _driver.Launch(_driver.GetFunction(module, "probe"), new LaunchSize(threads / Lanes), new LaunchSize(Lanes), 0, _stream, parameters);
                _driver.CopyToHost((nint)found, to.Address, to.Length, _stream);
                _driver.Synchronize(_stream);
            }

            return results;
        }

        public void Dispose()
        {
            _stream.Dispose();
            _context.Dispose();
        }
    }
}
