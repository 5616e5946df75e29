using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace KernelAD;

/// <summary>What monitoring can listen to: the meter and the activity source "KernelAD". Costs nothing, and allocates nothing, while nobody listens.</summary>
internal static class Telemetry
{
    private static readonly Meter Meter = new("KernelAD");

    /// <summary>Spans: "detect" for one picture, "detect batch" for one call of DetectBatch.</summary>
    public static ActivitySource Activities { get; } = new("KernelAD");

    /// <summary>Seconds from pixels to score.</summary>
    public static Histogram<double> Duration { get; } =
        Meter.CreateHistogram<double>("kernelad.detect.duration", unit: "s", description: "Time from pixels to score of one picture");

    /// <summary>Pictures judged.</summary>
    public static Counter<long> Pictures { get; } = Meter.CreateCounter<long>("kernelad.detect.pictures", unit: "{picture}", description: "Pictures judged");
}
