using System.Globalization;
using KernelAD.Imaging;

namespace KernelAD.Cli;

/// <summary>How the colours of overlays are scaled; <c>--scale</c>.</summary>
internal enum ScaleMode
{
    /// <summary>The threshold in the middle of the colours, or without one as <see cref="Run"/>.</summary>
    Automatic,

    /// <summary>Given in numbers.</summary>
    Fixed,

    /// <summary>Lowest and highest value of all maps of the run.</summary>
    Run,

    /// <summary>Lowest and highest value of each map by itself: good pictures light up as brightly as bad ones.</summary>
    Image,
}

/// <summary>Parses and finds scales of overlays.</summary>
internal static class HeatMapScales
{
    /// <summary>Parses the option's value; null if it cannot be understood.</summary>
    public static (ScaleMode Mode, HeatMapScale Scale)? Parse(string text)
    {
        string[] parts = text.Split(',');
        return text switch
        {
            "auto" => (ScaleMode.Automatic, default),
            "run" => (ScaleMode.Run, default),
            "image" => (ScaleMode.Image, default),
            _ when parts.Length == 2
                && Options.TryNumber(parts[0], out double low)
                && Options.TryNumber(parts[1], out double high)
                && (float)low < (float)high => (ScaleMode.Fixed, new HeatMapScale((float)low, (float)high)),
            _ => null,
        };
    }

    /// <summary>The scale that has a threshold in the middle of the colours.</summary>
    public static HeatMapScale Around(double threshold) => Of(0, 2 * (float)threshold);

    /// <summary>A scale between two values, widened where they are equal.</summary>
    public static HeatMapScale Of(float low, float high) => low < high ? new HeatMapScale(low, high) : new HeatMapScale(low, low + Math.Max(1e-6f, Math.Abs(low) * 1e-6f));

    /// <summary>Lowest and highest value of a map.</summary>
    public static (float Low, float High) Range(ReadOnlySpan<float> map)
    {
        float low = float.PositiveInfinity, high = float.NegativeInfinity;
        foreach (float value in map)
        {
            low = Math.Min(low, value);
            high = Math.Max(high, value);
        }

        return (low, high);
    }

    /// <summary>"0.001 … 0.02".</summary>
    public static string Describe(HeatMapScale scale) => string.Create(CultureInfo.InvariantCulture, $"{scale.Min:G4} … {scale.Max:G4}");
}
