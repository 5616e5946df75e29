using KernelAD;
using KernelAD.Engine.Tests.Golden;
using KernelAD.Golden;
using KernelAD.GpuChecks;
using KernelAD.GpuChecks.Instructions;
using KernelAD.Interop;

return Commands.Run(args);

/// <summary>The commands; see Usage.</summary>
internal static class Commands
{
    private const int Done = 0, Failed = 1, WrongUsage = 2;

    private const string Usage = """
        gpu-checks device       --device D --out FILE              what is measured
        gpu-checks instructions --device D --out FILE [--raw DIR]  how the hardware's instructions behave, beside the emulator's
        gpu-checks families                                        lists the families of kernels
        gpu-checks kernels      --device D --out FILE --family F [--contains TEXT]  a family's tests
        gpu-checks models       --golden DIR --out DIR             a model file for each golden case
        gpu-checks products     --device D --out FILE              times of matrix products
        gpu-checks report       --out DIR                          report.md and report.json from what the steps left there
        D: cuda, cuda:N, emulated, emulated:sm_XX
        """;

    public static int Run(string[] args)
    {
        if (args.Length % 2 == 0)
        {
            Console.Error.WriteLine(Usage);
            return WrongUsage;
        }

        Dictionary<string, string> options = args.Skip(1).Chunk(2).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.Ordinal);
        try
        {
            return Run(args[0], options) ? Done : Failed;
        }
        catch (KeyNotFoundException e)
        {
            Console.Error.WriteLine($"{e.Message}\n{Usage}");
            return WrongUsage;
        }
        catch (Exception e) when (e is ArgumentException or IOException or KernelAdException or CudaException)
        {
            Console.Error.WriteLine($"gpu-checks {args[0]}: {e.Message}");
            return Failed;
        }
    }

    private static bool Run(string command, Dictionary<string, string> options)
    {
        switch (command)
        {
            case "device":
                Device found = Device.Open(options["--device"]);
                using (JsonLines output = new(options["--out"], found))
                {
                    output.Add(json =>
                    {
                        json.WriteString("device", options["--device"]);
                        json.WriteString("name", found.Description.Name);
                        json.WriteString("architecture", found.Architecture);
                        json.WriteNumber("multiprocessors", found.Description.Multiprocessors);
                        json.WriteNumber("memory_bytes", found.Description.TotalMemory);
                        json.WriteString("date", DateTime.UtcNow.ToString("u"));
                    });
                }

                Console.WriteLine(found.MeasuredOn);
                return true;
            case "instructions":
                Device probed = Device.Open(options["--device"]);
                using (JsonLines output = new(options["--out"], probed))
                {
                    return InstructionChecks.Run(probed, output, options.TryGetValue("--raw", out string? raw) ? Directory.CreateDirectory(raw).FullName : null);
                }

            case "families":
                Console.WriteLine(string.Join('\n', KernelChecks.Families));
                return true;
            case "kernels":
                Device tested = Device.Open(options["--device"]);
                using (JsonLines output = new(options["--out"], tested))
                {
                    return KernelChecks.Run(tested, options["--family"], options.GetValueOrDefault("--contains"), output);
                }

            case "models":
                MakeModels(options["--golden"], Directory.CreateDirectory(options["--out"]).FullName);
                return true;
            case "products":
                Device timed = Device.Open(options["--device"]);
                using (JsonLines output = new(options["--out"], timed))
                {
                    ProductTimes.Run(timed, output);
                }

                return true;
            case "report":
                return Report.Write(options["--out"]);
            default:
                throw new KeyNotFoundException($"there is no command \"{command}\"");
        }
    }

    /// <summary>MODEL-CASE.safetensors for each case of a forward pass, as the golden tests make them: converted, or with weights by formula.</summary>
    private static void MakeModels(string golden, string folder)
    {
        foreach (string path in Directory.EnumerateFiles(golden, "tolerances.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            string found = Path.GetDirectoryName(path)!;
            string name = $"{Path.GetFileName(Path.GetDirectoryName(found))}-{Path.GetFileName(found)}";
            File.Copy(GoldenModels.FileOf(found), Path.Combine(folder, name + ".safetensors"), overwrite: true);
            Console.WriteLine($"{name}: {GoldenCase.Open(found).Model}");
        }
    }
}
