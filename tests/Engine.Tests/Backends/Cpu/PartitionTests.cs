using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

internal sealed class PartitionTests
{
    [Test]
    public void Parts_follow_each_other_and_cover_all_units([Values(0, 1, 17, 1000, 65536)] long units, [Values(0, 1, 100, 40000)] long work)
    {
        Partition partition = new(units, work);
        Assert.That(partition.Start(0), Is.Zero);
        Assert.That(partition.End(partition.Parts - 1), Is.EqualTo(units));
        for (int part = 0; part < partition.Parts; part++)
            Assert.That(partition.End(part) - partition.Start(part), Is.InRange(units / partition.Parts, (units / partition.Parts) + 1));
    }

    [Test]
    public void Parts_are_worth_handing_over_and_never_empty()
    {
        Assert.That(new Partition(1000, Partition.Grain / 8).Parts, Is.EqualTo(125));
        Assert.That(new Partition(3, 100 * Partition.Grain).Parts, Is.EqualTo(3));
        Assert.That(new Partition(100, 1).Parts, Is.EqualTo(1));
    }
}
