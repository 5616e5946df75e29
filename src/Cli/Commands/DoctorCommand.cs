using System.CommandLine;
using System.Reflection;
using System.Runtime.InteropServices;
using KernelAD.Backends.Cpu;
using KernelAD.Backends.Cuda;
using KernelAD.Cli.Output;
using KernelAD.Emulator;
using KernelAD.Imaging;
using KernelAD.Models;
using KernelAD.Preprocessing;
using KernelAD.Weights;
using Spectre.Console;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad doctor</c>: what this machine and this build offer, and what is wrong with them.</summary>
internal static class DoctorCommand
{
    public static Command Create()
    {
        Option<bool> json = Options.Json();
        Command command = new("doctor", "Show machine, devices, active vector width and versions, and warn of what costs speed") { json };
        command.SetAction(parsed =>
        {
            string? pictureFault = PictureFault();
            List<string> warnings = [];
            if (Machine.VectorWarning() is string vectors)
            {
                warnings.Add(vectors);
            }

            if (pictureFault is not null)
            {
                warnings.Add($"pictures cannot be decoded: {pictureFault}");
            }

            CudaReport cuda = CudaReport.Make();
            (string Key, string Value)[] facts =
            [
                ("version", Version()),
                ("runtime", RuntimeInformation.FrameworkDescription),
                ("compilation", Machine.Compilation),
                ("os", $"{RuntimeInformation.OSDescription}, {RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant()}"),
                ("cpu", $"{Machine.Processor()}, {Environment.ProcessorCount} processors"),
                ("vectors", SimdTier.Name),
                ("fma_peak", $"{FmaPeak.Measure(1):F1} GFLOP/s with 1 thread, {FmaPeak.Measure(Environment.ProcessorCount):F1} with {Environment.ProcessorCount}"),
                ("memory", $"{ByteSize.Format(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)} available to this process"),
                ("pictures", pictureFault is null ? "the picture library works" : "the picture library does not work"),
                ("device cpu", "available"),
                ("device cuda", cuda.Usable),
                ("device emulated", $"available: {EmulatedDriver.Architectures}"),
                ("kernels", $"{KernelLibrary.Embedded.Kernels.Count}, as PTX for {string.Join(" and ", KernelLibrary.Embedded.Targets)}"),
                ("models", string.Join(", ", ModelRegistry.Names)),
                ("schema", ModelFile.Schema),
            ];
            if (parsed.GetValue(json))
            {
                JsonLine.Print(w =>
                {
                    foreach ((string key, string value) in facts)
                    {
                        w.WriteString(key.Replace(' ', '_'), value);
                    }

                    cuda.Write(w);
                    w.WriteStrings("warnings", warnings);
                });
            }
            else
            {
                Table table = Human.Table("what", "found");
                foreach ((string key, string value) in facts.Concat(cuda.Facts))
                {
                    table.Row(key.Replace('_', ' '), value);
                }

                Human.Print(table);
                warnings.ForEach(w => Human.Line($"warning: {w}"));
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static string Version() =>
        typeof(DoctorCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    /// <summary>Why a picture cannot be decoded, found by decoding one; null if it can.</summary>
    private static string? PictureFault()
    {
        try
        {
            byte[] file = PngEncoder.Encode(new PictureView([1, 2, 3], width: 1, height: 1, PixelFormat.Rgb24));
            using Picture picture = PictureFile.Decode(file, "test picture");
            return picture.Pixels[..3].SequenceEqual((ReadOnlySpan<byte>)[1, 2, 3]) ? null : "a test picture came out wrong";
        }
        catch (Exception e) when (e is DllNotFoundException or TypeInitializationException or EntryPointNotFoundException or BadInputException)
        {
            return (e.InnerException ?? e).Message;
        }
    }
}
