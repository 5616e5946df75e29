using System.Text.Json.Nodes;

namespace KernelAD.WeightsConverter.Tests;

/// <summary>What a tensor may be replaced by.</summary>
public enum StrangeShape
{
    Missing,
    Scalar,
    Empty,
    AnotherRank,
    Huge,
    NotFinite,
}

/// <summary>Damages a model's files tensor by tensor.</summary>
internal static class Strange
{
    /// <summary>Replaces each tensor of the files in turn; every time the conversion must end in an error of a bounded length that names a tensor.</summary>
    public static void CheckEvery(Workspace w, JsonObject told, StrangeShape kind, params TinyFile[] files)
    {
        // Replacements share one small storage a file.
        View[] storage = [.. files.Select(f => f.File.Float([1, 2, 3, float.NaN], 4))];
        string[] paths = [.. files.Select((f, i) => w.Save(f.File.Zip(), $"{i}.pt"))];
        for (int i = 0; i < files.Length; i++)
        {
            foreach ((string key, object? value) in files[i].Tensors.ToArray())
            {
                View whole = (View)value!;
                if (kind == StrangeShape.Missing)
                {
                    files[i].Tensors.Remove(key);
                }
                else
                {
                    files[i].Tensors[key] = kind switch
                    {
                        StrangeShape.Scalar => storage[i] with { Shape = [], Strides = [] },
                        StrangeShape.Empty => storage[i] with { Shape = new long[whole.Shape.Length], Strides = new long[whole.Shape.Length] },
                        StrangeShape.AnotherRank => whole with { Shape = [.. whole.Shape, 1, 1], Strides = [.. whole.Strides, 1, 1] },
                        StrangeShape.Huge => storage[i] with { Shape = [.. whole.Shape.Select(_ => (1L << 60 / whole.Shape.Length) - 1)], Strides = new long[whole.Shape.Length] },
                        _ => storage[i] with { Offset = 3, Shape = whole.Shape, Strides = new long[whole.Shape.Length] },
                    };
                }

                w.Save(files[i].File.Zip(), $"{i}.pt");
                Assert.That(w.Fails(paths, told).Message, Does.Contain('"').And.Contain(".pt").And.Length.LessThan(3000), key);
                files[i].Tensors[key] = value;
            }

            w.Save(files[i].File.Zip(), $"{i}.pt");
        }
    }
}
