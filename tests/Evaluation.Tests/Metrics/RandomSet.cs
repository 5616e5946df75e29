using KernelAD.Evaluation.Metrics;

namespace KernelAD.Evaluation.Tests.Metrics;

/// <summary>Images with maps, masks, labels and scores.</summary>
internal sealed record RandomSet(int Height, int Width, float[][] Maps, byte[][] Masks, bool[] Labels, float[] Scores)
{
    /// <summary>
    /// Images of which about half have some rectangular defects; values are higher there on average. There are <paramref name="levels"/> distinct values to a
    /// unit, so that there are ties; 0 means as many as float32 has.
    /// </summary>
    public static RandomSet Create(int seed, int count = 6, int height = 13, int width = 11, int levels = 0)
    {
        Random random = new(seed);
        float[][] maps = new float[count][];
        byte[][] masks = new byte[count][];
        for (int i = 0; i < count; i++)
        {
            masks[i] = new byte[height * width];
            for (int defect = i % 2 == 0 ? 0 : random.Next(1, 4); defect > 0; defect--)
            {
                (int top, int left) = (random.Next(height), random.Next(width));
                (int bottom, int right) = (Math.Min(top + random.Next(1, 5), height), Math.Min(left + random.Next(1, 5), width));
                for (int y = top; y < bottom; y++)
                {
                    masks[i].AsSpan((y * width) + left, right - left).Fill(1);
                }
            }

            maps[i] = [.. masks[i].Select(m => Level((0.4 * m) + random.NextDouble() - 0.3))];
        }

        return new RandomSet(height, width, maps, masks, [.. masks.Select(m => m.Contains((byte)1))], [.. maps.Select(m => m.Max())]);

        float Level(double value) => levels == 0 ? (float)value : (float)(Math.Round(value * levels) / levels);
    }

    public float[] Pixels => [.. Maps.SelectMany(m => m)];

    public bool[] PixelLabels => [.. Masks.SelectMany(m => m).Select(m => m != 0)];

    /// <summary>The region of every pixel, numbered over all images, or −1.</summary>
    public int[] Regions => [.. Masks.SelectMany((mask, i) => ReferenceMetrics.Regions([.. mask.Select(m => m != 0)], Height, Width).Select(r => r < 0 ? r : r + (i * 1000)))];

    public MetricsResult Compute(MetricVariant variant = MetricVariant.Default, int threads = 1)
    {
        MetricsCollector collector = new(variant);
        for (int i = 0; i < Maps.Length; i++)
        {
            collector.AddImage($"image {i}", Labels[i], Scores[i]);
            collector.AddPixels($"image {i}", Maps[i], Masks[i], Height, Width);
        }

        return collector.Compute(threads);
    }

    /// <summary>The same images in another order.</summary>
    public RandomSet Order(int[] order) => this with
    {
        Maps = [.. order.Select(i => Maps[i])],
        Masks = [.. order.Select(i => Masks[i])],
        Labels = [.. order.Select(i => Labels[i])],
        Scores = [.. order.Select(i => Scores[i])],
    };

    /// <summary>The same images with every value mapped.</summary>
    public RandomSet Map(Func<float, float> function) => this with
    {
        Maps = [.. Maps.Select(m => m.Select(function).ToArray())],
        Scores = [.. Scores.Select(function)],
    };

    /// <summary>The same images upside down and mirrored: the regions stay regions.</summary>
    public RandomSet Turned() => this with { Maps = [.. Maps.Select(m => m.Reverse().ToArray())], Masks = [.. Masks.Select(m => m.Reverse().ToArray())] };
}
