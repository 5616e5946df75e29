using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace KernelAD.Bench;

/// <summary>The parent's end of a <see cref="Worker"/>.</summary>
internal sealed class WorkerProcess : IDisposable
{
    private readonly Process _process;

    public WorkerProcess(string kind, string model, int threads, long? memoryCap = null)
    {
        string[] cap = memoryCap is long bytes ? [bytes.ToString(CultureInfo.InvariantCulture)] : [];
        ProcessStartInfo start = new(
            Environment.ProcessPath!, ["--worker", kind, model, threads.ToString(CultureInfo.InvariantCulture), .. cap])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        _process = Process.Start(start)!;
        double[] ready = Answer();
        (LoadMilliseconds, FirstResultMilliseconds, FirstResultCpuMilliseconds) = (ready[0], ready[1], ready[2]);
    }

    /// <summary>Time until the model was loaded.</summary>
    public double LoadMilliseconds { get; }

    /// <summary>Time until the first result.</summary>
    public double FirstResultMilliseconds { get; }

    /// <summary>Processor time of all threads until the first result, without the start of the runtime.</summary>
    public double FirstResultCpuMilliseconds { get; }

    /// <summary>Runs the network.</summary>
    /// <returns>The times in milliseconds, each with the slower of the probes before and after it.</returns>
    public (double Milliseconds, double Probe)[] Run(int times)
    {
        double[] answer = Ask($"run {times}");
        foreach (double probe in answer.AsSpan(times))
            CoreProbe.Note(probe);
        return [.. Enumerable.Range(0, times).Select(i => (answer[i], Math.Max(answer[times + i], answer[times + i + 1])))];
    }

    /// <summary>The map of the last run.</summary>
    public float[] Map()
    {
        string file = Path.GetTempFileName();
        try
        {
            Ask($"map {file}");
            return MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(file).AsSpan()).ToArray();
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>Peak resident memory so far, in bytes.</summary>
    public double PeakMemory() => Ask("memory")[0];

    /// <summary>Managed bytes allocated by so many calls.</summary>
    public double AllocatedBytes(int calls) => Ask($"allocations {calls}")[0];

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(10_000))
        {
            _process.Kill();
        }

        _process.Dispose();
    }

    private double[] Ask(string command)
    {
        _process.StandardInput.WriteLine(command);
        _process.StandardInput.Flush();
        return Answer();
    }

    private double[] Answer()
    {
        string line = _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException("the worker process ended; its error is above");
        return [.. line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(w => double.Parse(w, CultureInfo.InvariantCulture))];
    }
}
