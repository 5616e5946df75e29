namespace KernelAD.Evaluation.Tests.Metrics;

/// <summary>The definitions in their shortest form, in double, at quadratic cost: what the fast code is compared with.</summary>
internal static class ReferenceMetrics
{
    /// <summary>The chance that an anomalous sample scores above a good one, ties counting half.</summary>
    public static double Auroc(float[] scores, bool[] labels)
    {
        float[] anomalous = [.. scores.Where((_, i) => labels[i])];
        float[] good = [.. scores.Where((_, i) => !labels[i])];
        return anomalous.Sum(a => good.Sum(g => a > g ? 1 : a == g ? 0.5 : 0)) / ((double)anomalous.Length * good.Length);
    }

    public static double AveragePrecision(float[] scores, bool[] labels)
    {
        double sum = 0, before = 0;
        foreach ((double tp, double fp, _) in Points(scores, labels))
        {
            sum += (tp - before) / labels.Count(l => l) * tp / (tp + fp);
            before = tp;
        }

        return sum;
    }

    public static (double F1, float At) HighestF1(float[] scores, bool[] labels) =>
        Points(scores, labels).Select(p => (F1: 2 * p.Tp / (p.Tp + p.Fp + labels.Count(l => l)), p.At)).OrderBy(p => p.F1).ThenByDescending(p => p.At).Last();

    /// <summary>Over pixels of which each knows its region's number, or −1.</summary>
    public static double Aupro(float[] scores, int[] regions, double limit)
    {
        List<(double X, double Y)> curve = [(0, 0)];
        int[] numbers = [.. regions.Where(r => r >= 0).Distinct()];
        foreach (float threshold in scores.Distinct().OrderDescending())
        {
            double good = regions.Count(r => r < 0);
            double rate = scores.Where((s, i) => regions[i] < 0 && s >= threshold).Count() / good;
            double overlap = numbers.Average(r => scores.Where((s, i) => regions[i] == r && s >= threshold).Count() / (double)regions.Count(q => q == r));
            curve.Add((rate, overlap));
        }

        double area = 0;
        for (int i = 1; i < curve.Count && curve[i - 1].X < limit; i++)
        {
            (double x0, double y0) = curve[i - 1];
            (double x1, double y1) = curve[i];
            if (x1 > limit)
            {
                (x1, y1) = (limit, y0 + ((y1 - y0) * (limit - x0) / (x1 - x0)));
            }

            area += (x1 - x0) * (y0 + y1) / 2;
        }

        return area / limit;
    }

    /// <summary>The number of each pixel's region or −1, by flooding in all eight directions.</summary>
    public static int[] Regions(bool[] mask, int height, int width)
    {
        int[] regions = [.. Enumerable.Repeat(-1, mask.Length)];
        int count = 0;
        for (int start = 0; start < mask.Length; start++)
        {
            if (!mask[start] || regions[start] >= 0)
            {
                continue;
            }

            Stack<int> open = new([start]);
            regions[start] = count;
            while (open.TryPop(out int pixel))
            {
                for (int y = Math.Max((pixel / width) - 1, 0); y <= Math.Min((pixel / width) + 1, height - 1); y++)
                {
                    for (int x = Math.Max((pixel % width) - 1, 0); x <= Math.Min((pixel % width) + 1, width - 1); x++)
                    {
                        if (mask[(y * width) + x] && regions[(y * width) + x] < 0)
                        {
                            regions[(y * width) + x] = count;
                            open.Push((y * width) + x);
                        }
                    }
                }
            }

            count++;
        }

        return regions;
    }

    private static IEnumerable<(double Tp, double Fp, float At)> Points(float[] scores, bool[] labels) => scores.Distinct().OrderDescending().Select(threshold => (
        (double)scores.Where((s, i) => labels[i] && s >= threshold).Count(),
        (double)scores.Where((s, i) => !labels[i] && s >= threshold).Count(),
        threshold));
}
