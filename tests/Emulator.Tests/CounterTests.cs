namespace KernelAD.Emulator.Tests;

/// <summary>Counters of kernels whose numbers can be worked out by hand.</summary>
public sealed class CounterTests
{
    private const string Begin = """
        ld.param.u64 %rd1, [p];
        mov.u32 %r1, %tid.x;
        """;

    [TestCase(4, 4, 1, 4)] // 32 lanes of 4 bytes in a row: 128 bytes.
    [TestCase(4, 8, 1, 8)] // Every other word.
    [TestCase(4, 32, 1, 32)] // A sector each.
    [TestCase(4, 128, 1, 32)]
    [TestCase(4, 0, 1, 1)] // All the same word.
    [TestCase(4, 16, 4, 16)] // 16 bytes each, in a row: 512 bytes.
    [TestCase(4, 64, 4, 32)]
    [TestCase(2, 2, 1, 2)]
    [TestCase(8, 16, 2, 16)]
    public void Sectors_of_a_request_depend_on_the_stride(int size, int stride, int elements, int sectors)
    {
        string type = $"b{8 * size}";
        string register = size == 8 ? "%rd1" : size == 2 ? "%h" : "%r1";
        string vector = elements == 1 ? $"{register}0" : $"{{{string.Join(", ", Enumerable.Range(0, elements).Select(i => $"{register}{i}"))}}}";
        string width = elements == 1 ? "" : $".v{elements}";
        LaunchCounters counters = Run($"""
            {Begin}
            mul.wide.u32 %rd2, %r1, {stride};
            add.s64 %rd2, %rd1, %rd2;
            ld.global{width}.{type} {vector}, [%rd2];
            st.global{width}.{type} [%rd2], {vector};
            """, 64);

        Assert.Multiple(() =>
        {
            Assert.That(counters[CounterNames.GlobalLoadRequests], Is.EqualTo(2));
            Assert.That(counters[CounterNames.GlobalLoadSectors], Is.EqualTo(2 * sectors));
            Assert.That(counters[CounterNames.GlobalLoadBytes], Is.EqualTo(64 * size * elements));
            Assert.That(counters[CounterNames.GlobalStoreRequests], Is.EqualTo(2));
            Assert.That(counters[CounterNames.GlobalStoreSectors], Is.EqualTo(2 * sectors));
        });
    }

    [TestCase(4, 1, 1, 0)]
    [TestCase(8, 1, 2, 1)] // Lanes 0 and 16 in the same bank.
    [TestCase(128, 1, 32, 31)] // All in the first bank.
    [TestCase(132, 1, 1, 0)] // A padded column.
    [TestCase(0, 1, 1, 0)] // The same word is broadcast.
    [TestCase(8, 2, 2, 0)] // Half a warp at a time.
    [TestCase(16, 4, 4, 0)] // A quarter at a time.
    [TestCase(32, 4, 8, 4)]
    public void Bank_conflicts_depend_on_the_stride(int stride, int elements, int wavefronts, int conflicts)
    {
        string vector = elements == 1 ? "%r10" : $"{{{string.Join(", ", Enumerable.Range(10, elements).Select(i => $"%r{i}"))}}}";
        string width = elements == 1 ? "" : $".v{elements}";
        LaunchCounters counters = Run($"""
            .shared .align 16 .b8 tile[8192];
            mov.u32 %r1, %tid.x;
            mov.u32 %r2, tile;
            mad.lo.u32 %r2, %r1, {stride}, %r2;
            st.shared{width}.b32 [%r2], {vector};
            ld.shared{width}.b32 {vector}, [%r2];
            """, 32);

        Assert.Multiple(() =>
        {
            Assert.That(counters[CounterNames.SharedLoadWavefronts], Is.EqualTo(wavefronts));
            Assert.That(counters[CounterNames.SharedLoadConflicts], Is.EqualTo(conflicts));
            Assert.That(counters[CounterNames.SharedStoreWavefronts], Is.EqualTo(wavefronts));
            Assert.That(counters[CounterNames.SharedStoreConflicts], Is.EqualTo(conflicts));
        });
    }

    [TestCase(false, 8, 7 * 4)] // Rows of 128 bytes: all eight rows of a matrix in the same banks.
    [TestCase(true, 1, 0)] // The 16-byte chunk is moved by the row's number.
    public void Matrix_loads_and_copies_conflict_unless_the_tile_is_swizzled(bool isSwizzled, int passes, int conflicts)
    {
        string swizzle = isSwizzled ? "and.b32 %r4, %r1, 7; shl.b32 %r4, %r4, 4; xor.b32 %r3, %r3, %r4;" : "";
        LaunchCounters counters = Run($"""
            .shared .align 128 .b8 tile[4096];
            {Begin}
            mov.u32 %r2, tile;
            shl.b32 %r3, %r1, 7;
            {swizzle}
            add.u32 %r3, %r3, %r2;
            cp.async.cg.shared.global [%r3], [%rd1], 16;
            cp.async.wait_all;
            ldmatrix.sync.aligned.m8n8.x4.shared.b16 {"{%r10, %r11, %r12, %r13}"}, [%r3];
            """, 32);

        Assert.Multiple(() =>
        {
            Assert.That(counters[CounterNames.SharedLoadWavefronts], Is.EqualTo(4 * passes));
            Assert.That(counters[CounterNames.SharedLoadConflicts], Is.EqualTo(conflicts));
            Assert.That(counters[CounterNames.SharedStoreConflicts], Is.EqualTo(conflicts));
            Assert.That(counters[CounterNames.MatrixLoads], Is.EqualTo(1));
            Assert.That(counters[CounterNames.AsyncCopies], Is.EqualTo(1));
            Assert.That(counters[CounterNames.GlobalLoadSectors], Is.EqualTo(1));
        });
    }

    [Test]
    public void Instructions_are_counted_by_class_and_by_thread()
    {
        LaunchCounters counters = Run("""
            ld.param.u64 %rd1, [p];
            mov.u32 %r1, %tid.x;
            cvt.rn.f32.u32 %f1, %r1;
            setp.lt.u32 %p1, %r1, 10;
            fma.rn.f32 %f2, %f1, %f1, %f1;
            @%p1 fma.rn.f32 %f2, %f2, %f1, %f1;
            add.f32 %f3, %f2, %f1;
            mul.f32 %f4, %f3, %f3;
            mov.b32 %r10, %f4;
            mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%f5, %f6, %f7, %f8}, {%r10, %r10}, {%r10}, {%f1, %f1, %f1, %f1};
            add.f32 %f5, %f5, %f4;
            bar.sync 0;
            st.global.f32 [%rd1], %f5;
            ret;
            """, 64);

        Assert.Multiple(() =>
        {
            Assert.That(counters[CounterNames.ThreadFfma], Is.EqualTo(64 + 10));
            Assert.That(counters[CounterNames.ThreadFadd], Is.EqualTo(128));
            Assert.That(counters[CounterNames.ThreadFmul], Is.EqualTo(64));
            Assert.That(counters[CounterNames.FmaPipe], Is.EqualTo(2 * 5));
            Assert.That(counters[CounterNames.TensorPipe], Is.EqualTo(2));
            Assert.That(counters[CounterNames.TensorOperations], Is.EqualTo(2L * 2 * 16 * 8 * 8));
            Assert.That(counters[CounterNames.Flops], Is.EqualTo((2 * 74) + 128 + 64));
            Assert.That(counters[CounterNames.Barriers], Is.EqualTo(2));
            Assert.That(counters[CounterNames.DivergentBranches], Is.Zero);

            // Of the copies none is left: %tid.x is a register, and a register's bits need no move. 11 instructions a warp.
            Assert.That(counters[CounterNames.Instructions], Is.EqualTo(2 * 11));
            Assert.That(counters[CounterNames.ThreadInstructions], Is.EqualTo((64 * 11) - 54));
        });
    }

    [Test]
    public void Divergent_branches_are_counted()
    {
        LaunchCounters counters = Run("""
            mov.u32 %r1, %tid.x;
            setp.lt.u32 %p1, %r1, 10;
            @%p1 bra L;
            add.u32 %r2, %r1, 1;
            bar.warp.sync 0xFFFFFC00;
            L:
            ret;
            """, 64, EmulatorChecks.Memory);

        Assert.That(counters[CounterNames.DivergentBranches], Is.EqualTo(1));
    }

    private static LaunchCounters Run(string body, int threads, EmulatorChecks checks = EmulatorChecks.Synchronisation)
    {
        using PtxDevice device = new(new EmulatorOptions { Count = true, Checks = checks, Threads = 1 });
        ulong memory = device.Upload(new byte[16 << 10]);
        return device.Run(PtxDevice.Kernel(PtxDevice.Module(".param .u64 p", body)), new(1), new(threads), 0, memory);
    }
}
