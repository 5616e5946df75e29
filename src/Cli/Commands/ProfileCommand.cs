using System.CommandLine;
using KernelAD.Backends.Cpu;
using KernelAD.Cli.Output;
using KernelAD.Emulator;
using KernelAD.Planner;
using Spectre.Console;

namespace KernelAD.Cli.Commands;

/// <summary><c>kernelad profile</c>: the plan, step by step, with times; on an emulated device, kernel by kernel, with counters.</summary>
internal static class ProfileCommand
{
    public static Command Create()
    {
        Argument<string> model = Options.Model();
        Option<int> batch = Options.Positive("--batch", "Pictures per run", 1);
        Option<int> runs = Options.Positive("--runs", "Runs after a warm-up; the median of each step is shown", 20);
        Option<bool> json = Options.Json();
        Option<string> gpu = new("--gpu")
        {
            Description = $"With --device emulated, the GPU to estimate times for: {string.Join(", ", GpuModel.All.Select(g => g.Key))}",
            HelpName = "GPU",
            DefaultValueFactory = _ => "a100",
        };
        gpu.AcceptOnlyFromAmong([.. GpuModel.All.Select(g => g.Key)]);
        Command command = new(
            "profile",
            "List the plan step by step: shape, FLOPs, bytes, time, share, GFLOP/s, share of the peak. With --device emulated, list the kernels: launches, instructions, memory "
            + "accesses, bank conflicts, occupancy, and a roofline estimate for a GPU")
        {
            model, batch, runs, json, gpu,
        };
        EngineOptions engine = new(command);
        command.SetAction(parsed =>
        {
            DetectorOptions options = engine.Read(parsed, count: true);
            string path = parsed.GetRequiredValue(model);
            int size = parsed.GetValue(batch);
            using AnomalyDetector detector = AnomalyDetector.Load(path, options);
            if (options.Driver is EmulatedDriver emulator)
            {
                emulator.ClearLaunches();
                detector.DetectBatch(Benchmark.Input(detector, size), size, size, new float[size * detector.MapWidth * detector.MapHeight], new float[size]);
                EmulatedProfile profile = new(emulator.Launches, GpuModel.All.Single(g => g.Key == parsed.GetValue(gpu)), options.Precision);
                if (parsed.GetValue(json))
                {
                    profile.PrintJson();
                }
                else
                {
                    Human.Header(detector, options, path);
                    profile.PrintTable();
                }

                return ExitCode.Done;
            }

            IReadOnlyList<PlanStep> steps = detector.Steps(size);
            double? peak = detector.RunsOnCpu ? FmaPeak.Measure(options.Threads ?? Environment.ProcessorCount) : null;
            double[] times = [.. detector.Profile(Benchmark.Input(detector, size), size, parsed.GetValue(runs)).Select(Median)];
            if (parsed.GetValue(json))
            {
                PrintJson(detector, options, size, steps, times, peak);
            }
            else
            {
                Human.Header(detector, options, path);
                PrintTable(steps, times, peak);
            }

            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>Median in seconds.</summary>
    private static double Median(TimeSpan[] times) => times.Order().ElementAt(times.Length / 2).TotalSeconds;

    private static void PrintTable(IReadOnlyList<PlanStep> steps, double[] times, double? peak)
    {
        double total = times.Sum();
        Table table = Human.Table(">#", "step", "operator", "shape", ">repeats", ">MFLOP", ">MB", ">µs", ">share", ">GFLOP/s", ">of peak");
        for (int i = 0; i < steps.Count; i++)
        {
            PlanStep step = steps[i];
            double flops = (double)step.Flops * step.Repeats, rate = flops / times[i] / 1e9;
            table.Row(
                $"{i + 1}",
                step.Name,
                step.Operator,
                step.Shape.ToString(),
                $"{step.Repeats}",
                $"{flops / 1e6:F2}",
                $"{(double)step.Bytes * step.Repeats / 1e6:F2}",
                $"{times[i] * 1e6:F1}",
                $"{100 * times[i] / total:F1} %",
                flops == 0 ? "" : $"{rate:F1}",
                flops == 0 || peak is null ? "" : $"{100 * rate / peak:F1} %");
        }

        Human.Print(table);
        double all = steps.Sum(s => (double)s.Flops * s.Repeats);
        Human.Line($"{steps.Count} steps, {all / 1e9:F3} GFLOP in {total * 1e3:F2} ms: {all / total / 1e9:F1} GFLOP/s{Benchmark.ShareOfPeak(all / total / 1e9, peak)}");
    }

    private static void PrintJson(AnomalyDetector detector, DetectorOptions options, int batch, IReadOnlyList<PlanStep> steps, double[] times, double? peak)
    {
        double total = times.Sum();
        JsonLine.Print(json =>
        {
            json.WriteRun(detector, options);
            json.WriteNumber("batch", batch);
            json.WriteNumber("steps", steps.Count);
            json.WriteNumber("flops", steps.Sum(s => s.Flops * s.Repeats));
            json.WriteNumber("seconds", total);
            json.WriteNumberOrNull("fma_peak_gflops", peak);
        });
        for (int i = 0; i < steps.Count; i++)
        {
            int index = i;
            PlanStep step = steps[i];
            JsonLine.Print(json =>
            {
                json.WriteNumber("step", index + 1);
                json.WriteString("name", step.Name);
                json.WriteString("operator", step.Operator);
                json.WriteShape("shape", step.Shape);
                json.WriteNumber("repeats", step.Repeats);
                json.WriteNumber("flops", step.Flops * step.Repeats);
                json.WriteNumber("bytes", step.Bytes * step.Repeats);
                json.WriteNumber("seconds", times[index]);
                json.WriteNumber("share", times[index] / total);
                json.WriteNumberOrNull("share_of_fma_peak", step.Flops * step.Repeats / times[index] / 1e9 / peak);
            });
        }
    }
}
