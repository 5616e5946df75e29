using KernelAD.Interop;

namespace KernelAD.Emulator.Tests;

/// <summary>
/// Twenty kernels with one fault each, which the emulator has to find and to name: its kind, the kernel, the PTX line, the block, the thread and the address.
/// Beside each stands the sound kernel, which differs in one line.
/// </summary>
[TestFixture]
public sealed class SeededFaultTests
{
    private const int Blocks = 3;
    private const int Threads = 64;
    private const int Words = Blocks * Threads;
    private const int SharedBytes = 1024;

    /// <summary>
    /// Before each body: %r1 is the thread, %r2 the block, %r3 the thread of the grid; %rd1 a buffer of a word for each thread of the grid that is written,
    /// %rd2 one that is not, %rd3 and %rd4 the thread's words in them, %rd5 a buffer that was freed; %r4 a shared tile, %r5 the thread's word in it, %r6 that
    /// of the other warp's lane, %r7 the thread's 16 bytes.
    /// %p1: the thread is of the first warp; %p2: of block 1; %p3: is thread 37 of block 1.
    /// </summary>
    private const string Begin = """
        .shared .align 16 .b8 tile[1024];
        ld.param.u64 %rd1, [in];
        ld.param.u64 %rd2, [out];
        ld.param.u64 %rd5, [freed];
        mov.u32 %r1, %tid.x;
        mov.u32 %r2, %ctaid.x;
        mad.lo.u32 %r3, %r2, 64, %r1;
        mul.wide.u32 %rd6, %r3, 4;
        add.s64 %rd3, %rd1, %rd6;
        add.s64 %rd4, %rd2, %rd6;
        mov.u32 %r4, tile;
        shl.b32 %r5, %r1, 2;
        xor.b32 %r6, %r5, 128;
        shl.b32 %r7, %r1, 4;
        add.u32 %r5, %r4, %r5;
        add.u32 %r6, %r4, %r6;
        add.u32 %r7, %r4, %r7;
        setp.lt.u32 %p1, %r1, 32;
        setp.eq.u32 %p2, %r2, 1;
        setp.eq.u32 %p3, %r3, 101;
        """;

    private static readonly Fault[] Faults =
    [
        new("a store behind the end of an allocation", FindingKind.OutOfBounds, 1, 37, m => m.Output + (4 * Words))
        {
            Body = "@%p3 st.global.u32 [%rd2+OFFSET], %r1; // found",
            Seed = ("OFFSET", "768", "764"),
        },
        new("a load behind the end of an allocation", FindingKind.OutOfBounds, 2, 63, m => m.Input + (4 * Words))
        {
            Body = "ld.global.u32 %r10, [%rd3+OFFSET]; // found",
            Seed = ("OFFSET", "4", "0"),
        },
        new("a use of freed memory", FindingKind.UseAfterFree, 1, 37, m => m.Freed + 8)
        {
            Body = "@%p3 ld.global.u32 %r10, [BUFFER+8]; // found",
            Seed = ("BUFFER", "%rd5", "%rd1"),
        },
        new("a misaligned vector", FindingKind.Misaligned, 1, 37, m => m.Input + 8)
        {
            Body = "@%p3 ld.global.v4.u32 {%r10, %r11, %r12, %r13}, [%rd1+OFFSET]; // found",
            Seed = ("OFFSET", "8", "16"),
        },
        new("a misaligned asynchronous copy", FindingKind.Misaligned, 1, 37, _ => 596)
        {
            Body = "@%p3 cp.async.cg.shared.global [%r7+OFFSET], [%rd1], 16; // found",
            Seed = ("OFFSET", "4", "16"),
        },
        new("a store behind the end of shared memory", FindingKind.OutOfBounds, 0, 63, _ => SharedBytes)
        {
            Body = "st.shared.u32 [%r5+OFFSET], %r1; // found",
            Seed = ("OFFSET", "772", "768"),
        },
        new("a shared address used as a global one", FindingKind.WrongAddressSpace, 1, 37, _ => AddressSpaces.Shared + 148)
        {
            Body = """
                cvt.u64.u32 %rd9, %r5;
                cvta.shared.u64 %rd9, %rd9;
                @%p3 stSPACE.u32 [%rd9], %r1; // found
                """,
            Seed = ("SPACE", ".global", ""),
        },
        new("no barrier between a producer and a consumer", FindingKind.Race, 0, 32, _ => 0)
        {
            Body = """
                @%p1 st.shared.u32 [%r5], %r1;
                BARRIER
                @!%p1 ld.shared.u32 %r10, [%r6]; // found
                """,
            Seed = ("BARRIER", "", "bar.sync 0;"),
        },
        new("no barrier before what others read is written over", FindingKind.Race, 0, 32, _ => 128)
        {
            Body = """
                st.shared.u32 [%r5], %r1;
                bar.sync 0;
                @%p1 ld.shared.u32 %r10, [%r6];
                BARRIER
                @!%p1 st.shared.u32 [%r5], %r6; // found
                """,
            Seed = ("BARRIER", "", "bar.sync 0;"),
        },
        new("two warps that write the same shared words", FindingKind.Race, 0, 32, _ => 0)
        {
            Body = """
                and.b32 %r10, %r1, MASK;
                shl.b32 %r10, %r10, 2;
                add.u32 %r10, %r4, %r10;
                st.shared.u32 [%r10], %r1; // found
                """,
            Seed = ("MASK", "31", "63"),
        },
        new("no barrier between threads of a block that share global memory", FindingKind.Race, 0, 32, m => m.Output)
        {
            Body = """
                @%p1 st.global.u32 [%rd4], %r1;
                BARRIER
                @!%p1 ld.global.u32 %r10, [%rd4+-128]; // found
                """,
            Seed = ("BARRIER", "", "bar.sync 0;"),
        },
        new("blocks that write the same global word", FindingKind.Race, 1, 0, m => m.Output)
        {
            Body = """
                setp.eq.u32 %p4, %r1, 0;
                @%p4 st.global.u32 [ADDRESS], %r2; // found
                """,
            Seed = ("ADDRESS", "%rd2", "%rd4"),
        },
        new("a barrier that half a warp reaches", FindingKind.DivergentBarrier, 0, 48)
        {
            Body = """
                setp.lt.u32 %p4, %r1, COUNT;
                @%p4 bar.sync 0; // found
                """,
            Seed = ("COUNT", "48", "64"),
        },
        new("a barrier that a warp leaves the kernel without", FindingKind.DivergentBarrier, 1, 0)
        {
            Body = """
                not.pred %p4, %p1;
                and.pred %p4, %p4, %p2;
                LEAVE
                bar.sync 0; // found
                """,
            Seed = ("LEAVE", "@%p4 exit;", ""),
        },
        new("a barrier for more warps than come", FindingKind.Deadlock, 1, 0)
        {
            Body = """
                not.pred %p4, %p1;
                and.pred %p4, %p4, %p2;
                @%p4 exit;
                mov.u32 %r10, 64;
                @%p2 mov.u32 %r10, COUNT;
                bar.sync 1, %r10; // found
                """,
            Seed = ("COUNT", "64", "32"),
        },
        new("a read of shared memory that nothing has written", FindingKind.Uninitialised, 0, 32, _ => 128)
        {
            Body = """
                PREDICATE st.shared.u32 [%r5], %r1;
                ld.shared.u32 %r10, [%r5]; // found
                """,
            Seed = ("PREDICATE", "@%p1", ""),
        },
        new("a read of global memory that nothing has written", FindingKind.Uninitialised, 1, 37, m => m.Output + (4 * 101))
        {
            Body = """
                PREDICATE st.global.u32 [%rd4], %r1;
                ld.global.u32 %r10, [%rd4]; // found
                """,
            Seed = ("PREDICATE", "@!%p3", ""),
        },
        new("a copy that is read before its wait", FindingKind.Race, 0, 0, _ => 0)
        {
            // The instruction named is the copy: it may land before or after the read, whose line the message has.
            Body = """
                st.shared.u32 [%r5], %r1;
                cp.async.ca.shared.global [%r5], [%rd3], 4; // found
                cp.async.commit_group;
                cp.async.wait_group GROUPS;
                ld.shared.u32 %r10, [%r5];
                cp.async.wait_group 0;
                """,
            Seed = ("GROUPS", "1", "0"),
        },
        new("a copy that another thread reads without a barrier", FindingKind.Race, 0, 32, _ => 0)
        {
            Body = """
                @%p1 cp.async.ca.shared.global [%r5], [%rd3], 4;
                cp.async.wait_all;
                BARRIER
                @!%p1 ld.shared.u32 %r10, [%r6]; // found
                """,
            Seed = ("BARRIER", "", "bar.sync 0;"),
        },
        new("a shuffle with lanes missing", FindingKind.IncompleteWarp, 1, 16)
        {
            Body = """
                setp.lt.u32 %p4, %r1, 16;
                and.pred %p4, %p4, %p2;
                @%p4 shfl.sync.bfly.b32 %r10, %r1, 1, 31, MEMBERS; // found
                """,
            Seed = ("MEMBERS", "0xFFFFFFFF", "0xFFFF"),
        },
    ];

    private static int _found;

    private static IEnumerable<TestCaseData> Cases => Faults.Select(fault => new TestCaseData(fault).SetArgDisplayNames(fault.Name));

    [OneTimeTearDown]
    public void Tell() => TestContext.Progress.WriteLine($"seeded faults: {_found} of {Faults.Length} found");

    [Test]
    public void There_are_twenty() => Assert.That(Faults.Select(fault => fault.Name).Distinct().Count(), Is.EqualTo(20));

    [TestCaseSource(nameof(Cases))]
    public void A_fault_is_found_and_named_and_the_sound_kernel_is_clean(Fault fault)
    {
        ArgumentNullException.ThrowIfNull(fault);
        string ptx = Text(fault, fault.Seed.Faulty);
        int line = Array.FindIndex(ptx.Split('\n'), text => text.Contains("// found", StringComparison.Ordinal)) + 1;

        IReadOnlyList<Finding> findings = Run(ptx, out Buffers buffers);
        Assert.That(findings, Has.Count.EqualTo(1));
        Finding finding = findings[0];
        Assert.Multiple(() =>
        {
            Assert.That(finding.Kind, Is.EqualTo(fault.Kind));
            Assert.That(finding.Kernel, Is.EqualTo("k"));
            Assert.That(finding.Line, Is.EqualTo(line));
            Assert.That(finding.Block, Is.EqualTo(new LaunchSize(fault.Block, 0, 0)));
            Assert.That(finding.Thread, Is.EqualTo(new LaunchSize(fault.Thread, 0, 0)));
            Assert.That(finding.Address, Is.EqualTo(fault.Address?.Invoke(buffers)));
            Assert.That(Run(Text(fault, fault.Seed.Sound), out _), Is.Empty, "the sound kernel");
        });
        TestContext.Out.WriteLine(finding);
        _found++;
    }

    private static string Text(Fault fault, string seed) => PtxDevice.Module(
        ".param .u64 in, .param .u64 out, .param .u64 freed", $"{Begin}\n{fault.Body.Replace(fault.Seed.Place, seed, StringComparison.Ordinal)}\nret;");

    private static IReadOnlyList<Finding> Run(string ptx, out Buffers buffers)
    {
        using PtxDevice device = new(new EmulatorOptions { Checks = EmulatorChecks.All, Threads = 1 });
        buffers = new(device.Upload(new int[Words]), device.Allocate<int>(Words), device.Upload(new int[Words]));
        device.Memory.Free(buffers.Freed);
        try
        {
            device.Run(PtxDevice.Kernel(ptx), new(Blocks), new(Threads), 0, buffers.Input, buffers.Output, buffers.Freed);
            return [];
        }
        catch (EmulatorFaultException fault)
        {
            return fault.Findings;
        }
    }

    /// <summary>Where the buffers are.</summary>
    /// <param name="Input">The one that is written.</param>
    /// <param name="Output">The one that is not.</param>
    /// <param name="Freed">The one that was freed.</param>
    public sealed record Buffers(ulong Input, ulong Output, ulong Freed);

    /// <summary>A fault and how it has to be named.</summary>
    /// <param name="Name">What it is.</param>
    /// <param name="Kind">Its kind.</param>
    /// <param name="Block">The block.</param>
    /// <param name="Thread">The thread.</param>
    /// <param name="Address">The address; null if it is not about one.</param>
    public sealed record Fault(string Name, FindingKind Kind, int Block, int Thread = 0, Func<Buffers, ulong>? Address = null)
    {
        /// <summary>The instructions; the one that has to be named is marked.</summary>
        public required string Body { get; init; }

        /// <summary>What is put where in them.</summary>
        public required (string Place, string Faulty, string Sound) Seed { get; init; }
    }
}
