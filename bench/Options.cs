using System.Globalization;

namespace KernelAD.Bench;

/// <summary>What the benchmark was asked to do.</summary>
internal sealed record Options
{
    public IReadOnlyList<string> Models { get; private init; } = [.. PublishedModel.All.Select(m => m.Key)];

    public IReadOnlyList<int> Threads { get; private init; } = [1, 2];

    /// <summary>Rounds per model and thread count; null: what <see cref="PublishedModel.Rounds"/> says.</summary>
    public int? Rounds { get; private init; }

    public bool Gemm { get; private init; } = true;

    /// <summary>Folder for the JSON file.</summary>
    public string Results { get; private init; } = "bench/results";

    public static Options Parse(ReadOnlySpan<string> args)
    {
        Options options = new();
        for (int i = 0; i < args.Length; i++)
        {
            options = args[i] switch
            {
                "--models" => options with { Models = args[++i].Split(',') },
                "--threads" => options with { Threads = [.. args[++i].Split(',').Select(t => int.Parse(t, CultureInfo.InvariantCulture))] },
                "--rounds" => options with { Rounds = int.Parse(args[++i], CultureInfo.InvariantCulture) },
                "--no-gemm" => options with { Gemm = false },
                "--results" => options with { Results = args[++i] },
                string other => throw new ArgumentException($"unknown option {other}"),
            };
        }

        return options;
    }
}
