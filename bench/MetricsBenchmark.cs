using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using KernelAD.Evaluation.Metrics;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Bench;

/// <summary>
/// The metrics of many large maps against scikit-learn and NumPy, each in a process of its own on the same file. The values have to agree before a time counts.
/// Ours includes reading the file; theirs does not.
/// </summary>
internal static class MetricsBenchmark
{
    private const double Tolerance = 1e-6;
    private const int Rounds = 5;

    /// <summary>Compares on <paramref name="images"/> maps of <paramref name="side"/> · <paramref name="side"/> pixels.</summary>
    public static int Run(int images, int side, string python)
    {
        string folder = Directory.CreateTempSubdirectory("kernelad-bench-").FullName;
        try
        {
            string file = Path.Combine(folder, "maps.safetensors");
            Write(file, images, side);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{images} maps of {side}×{side}: {(long)images * side * side / 1e6:F1} million pixels"));
            JsonNode peer = JsonNode.Parse(Output(python, Path.Combine(AppContext.BaseDirectory, "metrics_peers.py"), file))!;
            double theirs = peer["seconds"]!.AsObject().Sum(s => s.Value!.GetValue<double>());
            Console.WriteLine(Row("scikit-learn and NumPy", theirs, peer));
            foreach ((string name, JsonNode? seconds) in peer["seconds"]!.AsObject())
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"    {name,-32} {seconds!.GetValue<double>(),8:F2} s"));
            }

            foreach (int threads in (int[])[1, 2])
            {
                JsonNode ours = JsonNode.Parse(Output(Environment.ProcessPath!, "--metrics-worker", file, threads.ToString(CultureInfo.InvariantCulture)))!;
                double seconds = ours["seconds"]!.GetValue<double>();
                double difference = peer["values"]!.AsObject().Max(v => Math.Abs(v.Value!.GetValue<double>() - ours["values"]![v.Key]!.GetValue<double>()));
                if (!(difference <= Tolerance))
                {
                    throw new InvalidOperationException($"the values differ by {difference:E1}");
                }

                Console.WriteLine($"{Row($"KernelAD, {threads} thread(s)", seconds, ours)}  {theirs / seconds:F1} times faster, largest difference {difference:E1}");
            }

            return 0;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The child process: computes the metrics of a file a few times and prints the median time and the peak memory.</summary>
    public static int Serve(string path, int threads)
    {
        List<double> times = [];
        JsonObject values = [];
        for (int round = 0; round < Rounds; round++)
        {
            long start = Stopwatch.GetTimestamp();
            using MetricsFile file = MetricsFile.Open(path);
            MetricsResult result = file.Compute(MetricVariant.Default, threads: threads);
            times.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            values = new(result.Values.Where(v => v.Value.IsDefined).Select(v => KeyValuePair.Create(v.Name, (JsonNode?)JsonValue.Create(v.Value.Value))));
        }

        Console.WriteLine(new JsonObject
        {
            ["seconds"] = times.Order().ElementAt(Rounds / 2),
            ["peak_memory"] = Worker.PeakMemory(),
            ["values"] = values,
        }.ToJsonString());
        return 0;
    }

    /// <summary>Noise with a long tail; in every second image three disks whose values are higher.</summary>
    private static void Write(string path, int images, int side)
    {
        Random random = new(1);
        float[] maps = new float[images * side * side];
        byte[] masks = new byte[maps.Length];
        for (int i = 0; i < images; i++)
        {
            Span<byte> mask = masks.AsSpan(i * side * side, side * side);
            for (int defect = i % 2 == 0 ? 0 : 3; defect > 0; defect--)
            {
                (int centreX, int centreY, int radius) = (random.Next(side), random.Next(side), random.Next(2, Math.Max(side / 12, 3)));
                for (int pixel = 0; pixel < mask.Length; pixel++)
                {
                    (int x, int y) = ((pixel % side) - centreX, (pixel / side) - centreY);
                    mask[pixel] |= (byte)((x * x) + (y * y) <= radius * radius ? 1 : 0);
                }
            }
        }

        for (int i = 0; i < maps.Length; i++)
        {
            maps[i] = (float)((0.7 * masks[i]) - Math.Log(1 - random.NextDouble()));
        }

        TensorSource[] tensors =
        [
            TensorSource.Of("maps", new Tensor(new Shape(images, side, side), maps)),
            new TensorSource("masks", ElementType.U8, new Shape(images, side, side), stream => stream.Write(masks)),
        ];
        SafetensorsWriter.Write(path, tensors, new Dictionary<string, string>());
    }

    private static string Row(string name, double seconds, JsonNode run) => string.Create(
        CultureInfo.InvariantCulture, $"{name,-28} {seconds,8:F2} s  {run["peak_memory"]!.GetValue<long>() / 1e6,7:F0} MB");

    private static string Output(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} ended with exit code {process.ExitCode}; its error is above");
    }
}
