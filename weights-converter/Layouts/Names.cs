namespace KernelAD.WeightsConverter.Layouts;

/// <summary>Names from a file, fit for a message: bounded in length and number.</summary>
internal static class Names
{
    private const int MaxLength = 120;
    private const int MaxCount = 8;

    /// <summary>One name.</summary>
    public static string Quote(string name) => name.Length <= MaxLength ? name : name[..MaxLength] + "…";

    /// <summary>The first few of many, and how many more there are.</summary>
    public static string List(IReadOnlyCollection<string> names) =>
        string.Join(", ", names.Take(MaxCount).Select(Quote)) + (names.Count > MaxCount ? $" and {names.Count - MaxCount} more" : "");
}
