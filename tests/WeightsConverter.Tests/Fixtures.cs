using System.Text.Json.Nodes;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>The golden cases in the repository.</summary>
internal static class Fixtures
{
    private static readonly string Root = Find();

    public static string Golden(string relative) => Path.Combine(Root, "golden", relative);

    /// <summary>The "config" block of a case.</summary>
    public static JsonObject Config(string golden) =>
        JsonNode.Parse(File.ReadAllText(Golden(Path.Combine(golden, "case.json"))))!["config"]!.DeepClone().AsObject();

    private static string Find()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string candidate = Path.Combine(folder.FullName, "tests", "Fixtures");
            if (Directory.Exists(candidate))
            {
                return candidate;
            }
        }

        throw new DirectoryNotFoundException("tests/Fixtures");
    }
}
