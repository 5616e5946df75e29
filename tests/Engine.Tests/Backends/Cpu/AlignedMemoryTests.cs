using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

public sealed unsafe class AlignedMemoryTests
{
    private const int HugePage = 2 << 20;

    [Test]
    public void Memory_of_any_size_is_aligned_and_all_of_it_can_be_written([Values(1, 64, HugePage - 1, HugePage, (2 * HugePage) + 3)] int bytes)
    {
        using AlignedMemory memory = new(bytes);
        new Span<byte>(memory.Pointer, bytes).Fill(0xA5);
        Assert.Multiple(() =>
        {
            Assert.That(memory.Length, Is.EqualTo(bytes));
            Assert.That((long)memory.Pointer % AlignedMemory.Alignment, Is.Zero);
            Assert.That(new Span<byte>(memory.Pointer, bytes).IndexOfAnyExcept((byte)0xA5), Is.EqualTo(-1));
        });
    }

    [Test]
    [Platform("Linux")]
    public void Large_memory_begins_where_a_huge_page_can()
    {
        using AlignedMemory memory = new(HugePage);
        Assert.That((long)memory.Pointer % HugePage, Is.Zero);
    }
}
