using System.Text.Json.Nodes;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>The golden cases in the repository.</summary>
internal static class Fixtures
{
    public static string Golden(string relative) => Fixture.File(Path.Combine("golden", relative));

    /// <summary>The "config" block of a case.</summary>
    public static JsonObject Config(string golden) =>
        JsonNode.Parse(File.ReadAllText(Golden(Path.Combine(golden, "case.json"))))!["config"]!.DeepClone().AsObject();
}
