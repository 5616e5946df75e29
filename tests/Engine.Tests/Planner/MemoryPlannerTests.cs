using KernelAD.Planner;

namespace KernelAD.Engine.Tests.Planner;

public sealed class MemoryPlannerTests
{
    [Test]
    public void No_two_live_buffers_overlap([Range(0, 99)] int seed)
    {
        Random random = new(seed);
        List<PlannedBuffer> buffers = [];
        int count = random.Next(1, 120), steps = random.Next(1, 60);
        for (int i = 0; i < count; i++)
        {
            PlannedBuffer buffer = new(random.Next(4) == 0 ? random.Next(1, 64) : random.Next(1, 1_000_000));
            int first = random.Next(-1, steps);
            buffer.Touch(first);
            buffer.Touch(first + random.Next(0, random.Next(2) == 0 ? 2 : steps));
            buffers.Add(buffer);
        }

        long size = MemoryPlanner.Assign(buffers);

        Assert.That(buffers.Select(b => b.Offset), Has.All.GreaterThanOrEqualTo(0));
        Assert.That(buffers.Select(b => b.Offset % MemoryPlanner.Alignment), Has.All.Zero);
        Assert.That(buffers.Select(b => b.Offset + b.Bytes), Has.All.LessThanOrEqualTo(size));
        foreach (PlannedBuffer a in buffers)
        {
            foreach (PlannedBuffer b in buffers.Where(b => !ReferenceEquals(a, b) && a.Overlaps(b)))
            {
                Assert.That(a.Offset + a.Bytes <= b.Offset || b.Offset + b.Bytes <= a.Offset, Is.True, "two live buffers share bytes");
            }
        }
    }

    [Test]
    public void Buffers_of_a_chain_share_memory()
    {
        // Each value dies when the next is computed: two at a time, whatever the length.
        PlannedBuffer[] chain = [.. Enumerable.Range(0, 40).Select(_ => new PlannedBuffer(1024))];
        for (int i = 0; i < chain.Length; i++)
        {
            chain[i].Touch(i);
            chain[i].Touch(i + 1);
        }

        Assert.That(MemoryPlanner.Assign(chain), Is.EqualTo(2048));
    }

    [Test]
    public void Buffers_that_live_at_once_all_get_room()
    {
        PlannedBuffer[] all = [.. Enumerable.Range(0, 10).Select(_ => new PlannedBuffer(64))];
        foreach (PlannedBuffer buffer in all)
        {
            buffer.Touch(0);
            buffer.Touch(9);
        }

        Assert.That(MemoryPlanner.Assign(all), Is.EqualTo(640));
    }
}
