using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace KernelAD.Bench;

/// <summary>An engine with a loaded model and an input, ready to run one picture at a time.</summary>
internal interface IEngine : IDisposable
{
    /// <summary>Runs the network on the input once.</summary>
    void Run();

    /// <summary>The map of the last run.</summary>
    ReadOnlySpan<float> Map { get; }

    /// <summary>Managed bytes that so many calls allocate on all threads together.</summary>
    long AllocatedBytes(int calls);
}

/// <summary>
/// The child process that holds one engine. It reports how it loaded, then answers one command a line: <c>run N</c> with N times in milliseconds
/// and the N + 1 <see cref="CoreProbe"/>s before, between and after them,
/// <c>map FILE</c> (writes the map there), <c>allocations N</c> with a number of bytes, <c>memory</c> with the peak resident bytes.
/// </summary>
internal static class Worker
{
    public static int Serve(string kind, string model, int threads, long? memoryCap)
    {
        using Process self = Process.GetCurrentProcess();
        TimeSpan cpu = self.TotalProcessorTime;
        long start = Stopwatch.GetTimestamp();
        using IEngine engine = kind == "kernelad" ? Ours(model, threads, memoryCap) : Theirs(model, threads);
        double load = Milliseconds(start);
        engine.Run();
        double first = Milliseconds(start);
        self.Refresh();
        Reply(load, first, (self.TotalProcessorTime - cpu).TotalMilliseconds);
        while (Console.In.ReadLine() is string line)
        {
            string[] words = line.Split(' ', 2);
            switch (words[0])
            {
                case "run":
                    Reply([.. Time(engine, int.Parse(words[1], CultureInfo.InvariantCulture))]);
                    break;
                case "map":
                    File.WriteAllBytes(words[1], MemoryMarshal.AsBytes(engine.Map));
                    Reply();
                    break;
                case "allocations":
                    Reply(engine.AllocatedBytes(int.Parse(words[1], CultureInfo.InvariantCulture)));
                    break;
                case "memory":
                    Reply(PeakMemory());
                    break;
            }
        }

        return 0;
    }

    // Separate methods, so that a process loads the assemblies of its own engine only.
    private static KernelAdEngine Ours(string model, int threads, long? memoryCap) => new KernelAdEngine(model, threads, memoryCap);

    private static OnnxRuntimeEngine Theirs(string model, int threads) => new OnnxRuntimeEngine(model, threads);

    private static double[] Time(IEngine engine, int runs)
    {
        double[] timesAndProbes = new double[(2 * runs) + 1];
        timesAndProbes[runs] = CoreProbe.Measure();
        for (int i = 0; i < runs; i++)
        {
            long start = Stopwatch.GetTimestamp();
            engine.Run();
            timesAndProbes[i] = Milliseconds(start);
            timesAndProbes[runs + 1 + i] = CoreProbe.Measure();
        }

        return timesAndProbes;
    }

    /// <summary>VmHWM of /proc/self/status in bytes; elsewhere what the runtime knows.</summary>
    public static long PeakMemory()
    {
        const string Status = "/proc/self/status";
        if (!File.Exists(Status))
        {
            return Process.GetCurrentProcess().PeakWorkingSet64;
        }

        string line = File.ReadLines(Status).First(l => l.StartsWith("VmHWM:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) * 1024;
    }

    private static double Milliseconds(long start) => Stopwatch.GetElapsedTime(start).TotalMilliseconds;

    private static void Reply(params double[] values)
    {
        Console.Out.WriteLine(string.Join(' ', values.Select(v => v.ToString("R", CultureInfo.InvariantCulture))));
        Console.Out.Flush();
    }
}
