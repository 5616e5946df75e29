using KernelAD.Evaluation.Metrics;

namespace KernelAD.Evaluation.Tests.Metrics;

/// <summary>Keys, sorting and regions by themselves.</summary>
public sealed class RankingPartsTests
{
    [Test]
    public void Keys_are_in_the_order_of_the_scores()
    {
        float[] ascending =
        [
            float.NegativeInfinity, float.MinValue, -1.5f, -1, -float.Epsilon, 0, float.Epsilon, 1e-38f, 1, MathF.BitIncrement(1), float.MaxValue, float.PositiveInfinity,
        ];
        uint[] keys = [.. ascending.Select(ScoreKey.Of)];
        Assert.That(keys, Is.Ordered.Ascending.And.Unique);
        Assert.That(keys.Select(ScoreKey.ToScore), Is.EqualTo(ascending));
        Assert.That(ScoreKey.Of(-0f), Is.EqualTo(ScoreKey.Of(0f)));
    }

    [Test]
    public void Keys_of_many_scores_equal_those_of_each([Values(0, 1, 7, 16, 67)] int count)
    {
        Random random = new(count);
        float[] scores = [.. Enumerable.Range(0, count).Select(i => i % 5 == 0 ? -0f : (float)(random.NextDouble() - 0.5))];
        uint[] keys = [.. Enumerable.Repeat(uint.MaxValue, count + 1)];
        ScoreKey.Of(scores, keys);
        Assert.That(keys, Is.EqualTo((uint[])[.. scores.Select(ScoreKey.Of), uint.MaxValue]));
    }

    [Test]
    public void The_first_NaN_is_found_wherever_it_is([Values(1, 15, 16, 40)] int count)
    {
        for (int bad = 0; bad < count; bad++)
        {
            float[] scores = new float[count];
            scores[^1] = scores[bad] = float.NaN;
            Assert.That(ScoreKey.FirstNaN(scores), Is.EqualTo(bad));
        }

        Assert.That(ScoreKey.FirstNaN(new float[count]), Is.EqualTo(-1));
    }

    [Test]
    public void Sorting_sorts([Values(0, 1, 4095, 4096, 100_003)] int count, [Values(1, 2, 5)] int threads)
    {
        Random random = new(count);
        uint[] narrow = [.. Enumerable.Range(0, count).Select(_ => (uint)random.Next(1 << 20))];
        ulong[] wide = [.. Enumerable.Range(0, count).Select(_ => (ulong)random.NextInt64(long.MinValue, long.MaxValue))];
        Assert.That(RadixSort.Sort([.. narrow], threads), Is.EqualTo(narrow.Order()));
        Assert.That(RadixSort.Sort([.. wide], threads), Is.EqualTo(wide.Order()));
    }

    [Test]
    public void Lists_keep_their_order_over_several_chunks()
    {
        KeyList<uint> list = new();
        for (uint i = 0; i < 600_000; i++)
        {
            list.Add(i);
        }

        Assert.That(list.Count, Is.EqualTo(600_000));
        Assert.That(list.Drain(), Is.EqualTo(Enumerable.Range(0, 600_000).Select(i => (uint)i)));
        Assert.That(list.Count, Is.Zero);
    }

    [Test]
    public void Regions_are_those_of_flooding_in_eight_directions([Range(1, 40)] int seed)
    {
        Random random = new(seed);
        (int height, int width) = (random.Next(1, 30), random.Next(1, 30));
        double density = 0.15 + (0.7 * random.NextDouble());
        byte[] mask = [.. Enumerable.Range(0, height * width).Select(_ => random.NextDouble() < density ? (byte)random.Next(128, 256) : (byte)random.Next(0, 128))];
        int[] expected = ReferenceMetrics.Regions([.. mask.Select(m => m > 127)], height, width);
        MaskRegions regions = new();
        regions.Find(mask, height, width, threshold: 127);
        int[] areas = new int[mask.Length];
        for (int run = 0; run < regions.Runs.Count; run++)
        {
            areas.AsSpan(regions.Runs[run].Start, regions.Runs[run].Length).Fill(regions.AreaOf(run));
        }

        Assert.That(regions.Count, Is.EqualTo(expected.Max() + 1));
        Assert.That(areas, Is.EqualTo(expected.Select(r => r < 0 ? 0 : expected.Count(e => e == r))));
    }

    [Test]
    public void Runs_that_touch_several_runs_above_and_below_are_one_region()
    {
        byte[] comb =
        [
            1, 0, 1, 0, 1, 0, 1,
            0, 1, 0, 1, 0, 1, 0,
            1, 0, 0, 0, 0, 0, 1,
            0, 0, 1, 0, 1, 0, 0,
        ];
        MaskRegions regions = new();
        regions.Find(comb, 4, 7, threshold: 0);
        Assert.That(regions.Count, Is.EqualTo(3));
    }
}
