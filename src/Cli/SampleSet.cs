using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace KernelAD.Cli;

/// <summary>A picture of the samples.</summary>
/// <param name="Entry">The file.</param>
/// <param name="IsDefective">What the data set says.</param>
/// <param name="PyTorchScore">The score that PyTorch gives it.</param>
internal sealed record SamplePicture(PictureEntry Entry, bool IsDefective, double PyTorchScore);

/// <summary>The model and pictures that travel with the program, and what <c>demo.json</c> and <c>scores.csv</c> beside them say.</summary>
internal sealed record SampleSet
{
    private SampleSet(string folder, JsonObject facts, IReadOnlyList<SamplePicture> pictures)
    {
        Folder = folder;
        Title = Text(facts, "title");
        ModelPath = Path.Combine(folder, Text(facts, "model"));
        Origin = Text(facts, "origin");
        Quality = Text(facts, "quality");
        Threshold = facts["threshold"]?.GetValue<double>() ?? throw new FormatException("no \"threshold\"");
        ThresholdOrigin = Text(facts, "threshold_origin");
        Attribution = Text(facts, "attribution");
        Pictures = pictures;
    }

    /// <summary>Where everything lies.</summary>
    public string Folder { get; }

    /// <summary>What is shown.</summary>
    public string Title { get; }

    /// <summary>The model file.</summary>
    public string ModelPath { get; }

    /// <summary>Where the model comes from.</summary>
    public string Origin { get; }

    /// <summary>How good the model is, as measured.</summary>
    public string Quality { get; }

    /// <summary>The decision threshold.</summary>
    public double Threshold { get; }

    /// <summary>Where the threshold comes from.</summary>
    public string ThresholdOrigin { get; }

    /// <summary>Whom the pictures are owed to.</summary>
    public string Attribution { get; }

    /// <summary>The pictures.</summary>
    public IReadOnlyList<SamplePicture> Pictures { get; }

    /// <summary>Opens the samples beside the program.</summary>
    /// <exception cref="BadInputException">They are not there, or not complete.</exception>
    public static SampleSet Open()
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "samples", "fabric");
        try
        {
            JsonObject facts = JsonNode.Parse(File.ReadAllBytes(Path.Combine(folder, "demo.json")))!.AsObject();
            return new SampleSet(folder, facts, [.. File.ReadLines(Path.Combine(folder, "scores.csv")).Skip(1).Select(line => ReadPicture(folder, line))]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException or FormatException)
        {
            throw new BadInputException($"{folder}: the samples of the demo are not there or not complete: {e.Message} Build or install kernelad again.", e);
        }
    }

    private static SamplePicture ReadPicture(string folder, string line)
    {
        string[] cells = line.Split(',');
        return cells.Length == 3
            ? new SamplePicture(new PictureEntry(Path.Combine(folder, cells[0]), cells[0]), cells[1] == "defect", double.Parse(cells[2], CultureInfo.InvariantCulture))
            : throw new FormatException($"scores.csv: \"{line}\" does not have three columns");
    }

    private static string Text(JsonObject facts, string key) => facts[key]?.GetValue<string>() ?? throw new FormatException($"demo.json has no \"{key}\"");
}
