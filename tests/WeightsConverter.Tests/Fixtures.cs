using System.Text.Json.Nodes;
using KernelAD.Golden;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>The golden cases in the repository.</summary>
internal static class Fixtures
{
    public static string Golden(string relative) => Fixture.File(Path.Combine("golden", relative));

    /// <summary>The files that a case's weights are converted from.</summary>
    public static string[] Checkpoints(string golden) => [.. GoldenCase.Open(Golden(golden)).Checkpoints];

    /// <summary>The "config" block of a case.</summary>
    public static JsonObject Config(string golden) =>
        JsonNode.Parse(File.ReadAllText(Golden(Path.Combine(golden, "case.json"))))!["config"]!.DeepClone().AsObject();
}
