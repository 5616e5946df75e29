using System.Globalization;

namespace KernelAD.Cli;

/// <summary>Sizes of memory as people write them: "300MB", "1.5 GiB", "1048576".</summary>
internal static class ByteSize
{
    private static readonly (string Suffix, long Factor)[] Units =
    [
        ("KIB", 1L << 10), ("MIB", 1L << 20), ("GIB", 1L << 30), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("K", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("B", 1),
    ];

    /// <summary>Parses a positive size.</summary>
    public static bool TryParse(string text, out long bytes)
    {
        string upper = text.Trim().ToUpperInvariant();
        (string suffix, long factor) = Array.Find(Units, u => upper.EndsWith(u.Suffix, StringComparison.Ordinal));
        string number = upper[..^(suffix?.Length ?? 0)].TrimEnd();
        bool valid = double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value);
        double size = value * (suffix is null ? 1 : factor);
        bytes = valid && size is >= 1 and < long.MaxValue ? (long)size : 0;
        return bytes > 0;
    }

    /// <summary>Megabytes (10⁶ bytes) with one decimal.</summary>
    public static string Format(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:N1} MB");
}
