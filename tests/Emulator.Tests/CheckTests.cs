namespace KernelAD.Emulator.Tests;

/// <summary>Faults beside the twenty of <see cref="SeededFaultTests"/>, each beside the same kernel without it.</summary>
public sealed class CheckTests
{
    /// <summary>
    /// Before each body: %rd1 is a buffer of 64 words that is written, %rd2 one that is not, %r1 the thread, %r2 its word in a shared tile, %r3 the next
    /// thread's.
    /// </summary>
    private const string Begin = """
        .shared .align 16 .b8 tile[1024];
        ld.param.u64 %rd1, [in];
        ld.param.u64 %rd2, [out];
        mov.u32 %r1, %tid.x;
        mul.wide.u32 %rd3, %r1, 4;
        add.s64 %rd4, %rd1, %rd3;
        add.s64 %rd5, %rd2, %rd3;
        mov.u32 %r4, tile;
        shl.b32 %r5, %r1, 2;
        add.u32 %r2, %r4, %r5;
        add.u32 %r6, %r1, 1;
        and.b32 %r6, %r6, 63;
        shl.b32 %r6, %r6, 2;
        add.u32 %r3, %r4, %r6;
        shl.b32 %r7, %r1, 4;
        add.u32 %r7, %r4, %r7;
        and.b32 %r8, %r1, 15;
        mul.wide.u32 %rd6, %r8, 16;
        add.s64 %rd6, %rd1, %rd6;
        """;

    private static IEnumerable<TestCaseData> Faults()
    {
        yield return Fault("a store before the start", FindingKind.OutOfBounds, "st.global.u32 [%rd4+-4], %r1;", "st.global.u32 [%rd4], %r1;", 0);
        yield return Fault("a vector over the end", FindingKind.OutOfBounds, "ld.global.v4.u32 {%r10, %r11, %r12, %r13}, [%rd6+16];", "ld.global.v4.u32 {%r10, %r11, %r12, %r13}, [%rd6];", 15);
        yield return Fault("a null pointer", FindingKind.OutOfBounds, "ld.global.u32 %r10, [%rd3];", "ld.global.u32 %r10, [%rd4];", 0);
        yield return Fault("a misaligned word", FindingKind.Misaligned, "ld.global.u32 %r10, [%rd1+2];", "ld.global.u16 %h1, [%rd1+2];", 0);
        yield return Fault("a misaligned shared vector", FindingKind.Misaligned, "st.shared.v2.u32 [%r2], {%r1, %r1};", "st.shared.u32 [%r2], %r1;", 1);
        yield return Fault("a global address used as shared", FindingKind.WrongAddressSpace, "st.shared.u32 [%rd1], %r1;", "st.shared.u32 [%r2], %r1;", 0);
        yield return Fault("a misaligned source of a copy", FindingKind.Misaligned, "cp.async.cg.shared.global [%r7], [%rd1+4], 16;", "cp.async.cg.shared.global [%r7], [%rd1+16], 16;", 0);
        yield return Fault("a misaligned destination of a copy", FindingKind.Misaligned, "cp.async.cg.shared.global [%r2], [%rd6], 16;", "cp.async.cg.shared.global [%r7], [%rd6], 16;", 1);
        yield return Fault("a copy from behind the end", FindingKind.OutOfBounds, "cp.async.cg.shared.global [%r7], [%rd6+16], 16;", "cp.async.cg.shared.global [%r7], [%rd6+16], 16, 0;", 15);
        yield return Fault("an uninitialised byte of a word", FindingKind.Uninitialised, "st.shared.u16 [%r2], %r1; ld.shared.u32 %r10, [%r2];", "st.shared.u16 [%r2], %r1; ld.shared.u16 %h1, [%r2];", 0);
        yield return Fault("a read of what an asynchronous copy brought from nowhere", FindingKind.Uninitialised, Copied("%rd5"), Copied("%rd4"), 0);
        yield return Fault("a matrix read of what nothing has written", FindingKind.Uninitialised, "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r10}, [%r7];",
            "st.shared.v4.u32 [%r7], {%r1, %r1, %r1, %r1}; bar.sync 0; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r10}, [%r7];", 0);
        yield return Fault("a missing barrier before a read", FindingKind.Race,
            "st.shared.u32 [%r2], 99; bar.sync 0; st.shared.u32 [%r2], %r1; ld.shared.u32 %r10, [%r3];",
            "st.shared.u32 [%r2], 99; bar.sync 0; st.shared.u32 [%r2], %r1; bar.sync 0; ld.shared.u32 %r10, [%r3];");
        yield return Fault("a missing barrier before a write", FindingKind.Race,
            "st.shared.u32 [%r2], %r1; bar.sync 0; ld.shared.u32 %r10, [%r3]; st.shared.u32 [%r2], %r10;",
            "st.shared.u32 [%r2], %r1; bar.sync 0; ld.shared.u32 %r10, [%r3]; bar.sync 0; st.shared.u32 [%r2], %r10;");
        yield return Fault("two writers of one word", FindingKind.Race, "st.shared.u32 [%r4], %r1;", "st.shared.u32 [%r4], 5;");
        yield return Fault("lanes that do not wait for their warp", FindingKind.Race,
            "st.shared.u32 [%r2], %r1; xor.b32 %r9, %r5, 4; add.u32 %r9, %r4, %r9; ld.shared.u32 %r10, [%r9];",
            "st.shared.u32 [%r2], %r1; bar.warp.sync -1; xor.b32 %r9, %r5, 4; add.u32 %r9, %r4, %r9; ld.shared.u32 %r10, [%r9];");
        yield return Fault("a barrier for too few warps", FindingKind.Race,
            "st.shared.u32 [%r2], %r1; shr.u32 %r9, %r1, 5; bar.sync %r9, 32; ld.shared.u32 %r10, [%r3];", "st.shared.u32 [%r2], %r1; bar.sync 1, 64; ld.shared.u32 %r10, [%r3];");
        yield return Fault("a copy whose barrier comes before its wait", FindingKind.Race, Copy("bar.sync 0; cp.async.wait_group 0;"), Copy("cp.async.wait_group 0; bar.sync 0;"));
        yield return Fault("a copy into what others still read", FindingKind.Race,
            "st.shared.u32 [%r2], %r1; bar.sync 0; ld.shared.u32 %r10, [%r3]; cp.async.ca.shared.global [%r2], [%rd4], 4; cp.async.wait_all;",
            "st.shared.u32 [%r2], %r1; bar.sync 0; ld.shared.u32 %r10, [%r3]; bar.sync 0; cp.async.ca.shared.global [%r2], [%rd4], 4; cp.async.wait_all;");
        yield return Fault("a read of what a copy of one's own is bringing", FindingKind.Race,
            "st.shared.u32 [%r2], %r1; cp.async.ca.shared.global [%r2], [%rd4], 4; ld.shared.u32 %r10, [%r2]; cp.async.wait_all;",
            "st.shared.u32 [%r2], %r1; cp.async.ca.shared.global [%r2], [%rd4], 4; cp.async.wait_all; ld.shared.u32 %r10, [%r2];");
        yield return Fault("a global word of two threads", FindingKind.Race, "st.global.u32 [%rd5], %r1; ld.global.u32 %r10, [%rd2];", "st.global.u32 [%rd5], %r1; bar.sync 0; ld.global.u32 %r10, [%rd2];");
        yield return Fault("a plain store beside atomics", FindingKind.Race, "red.global.add.u32 [%rd1], 1; st.global.u32 [%rd1], %r1;", "red.global.add.u32 [%rd1], 1; red.global.max.u32 [%rd1], 7;");
        yield return Fault("barriers of different sizes", FindingKind.DivergentBarrier, "shr.u32 %r9, %r1, 5; sub.u32 %r9, 2, %r9; shl.b32 %r9, %r9, 5; bar.sync 3, %r9;", "bar.sync 3, 64;");
        yield return Fault("warps at different barriers", FindingKind.Deadlock, "shr.u32 %r9, %r1, 5; bar.sync %r9;", "mov.u32 %r9, 4; bar.sync %r9;");
        yield return Fault("a shuffle from a lane that is not a member", FindingKind.IncompleteWarp,
            "setp.lt.u32 %p1, %r1, 16; @%p1 shfl.sync.bfly.b32 %r10, %r1, 16, 31, 0xFFFF;", "shfl.sync.bfly.b32 %r10, %r1, 16, 31, -1;");
        yield return Fault("a matrix load in half a warp", FindingKind.IncompleteWarp,
            "st.shared.v4.u32 [%r7], {%r1, %r1, %r1, %r1}; bar.sync 0; setp.lt.u32 %p1, %r1, 40; @%p1 ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r10}, [%r7];",
            "st.shared.v4.u32 [%r7], {%r1, %r1, %r1, %r1}; bar.sync 0; setp.lt.u32 %p1, %r1, 64; @%p1 ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r10}, [%r7];");
    }

    [TestCaseSource(nameof(Faults))]
    public void A_fault_is_found_and_the_sound_kernel_is_clean(FindingKind kind, string faulty, string sound, int? thread)
    {
        IReadOnlyList<Finding> findings = Run(faulty);
        Assert.Multiple(() =>
        {
            Assert.That(findings, Has.Some.Property(nameof(Finding.Kind)).EqualTo(kind));
            Assert.That(findings, Has.All.Property(nameof(Finding.Kind)).EqualTo(kind));
            Assert.That(Run(sound), Is.Empty);
        });
        if (thread is int expected)
        {
            Assert.That(findings[0].Thread.X, Is.EqualTo(expected), findings[0].ToString());
        }
    }

    [Test]
    public void A_finding_names_kernel_PTX_line_source_line_block_thread_and_address()
    {
        const string Ptx = """
            .version 7.0
            .target sm_80
            .address_size 64
            .file 1 "Kernels/Copy.cs"
            .visible .entry copy(.param .u64 out)
            {
                .reg .b32 %r<4>;
                .reg .b64 %rd<4>;
                ld.param.u64 %rd1, [out];
                mov.u32 %r1, %tid.y;
                mul.wide.u32 %rd2, %r1, 4;
                add.s64 %rd1, %rd1, %rd2;
                .loc 1 42 7
                st.global.u32 [%rd1], %r1;
                ret;
            }
            """;
        using PtxDevice device = new();
        ulong output = device.Allocate<uint>(5);
        PtxKernel kernel = PtxModule.Parse("copies", Ptx, EmulatedTarget.Find("sm_80")).Kernels["copy"];

        EmulatorFaultException fault = Assert.Throws<EmulatorFaultException>(() => device.Run(kernel, new(1, 2), new(2, 8), 0, output))!;

        Finding finding = fault.Findings.Single();
        Assert.Multiple(() =>
        {
            Assert.That(finding.Kernel, Is.EqualTo("copy"));
            Assert.That(finding.Line, Is.EqualTo(14));
            Assert.That(finding.Source, Is.EqualTo("Kernels/Copy.cs:42"));
            Assert.That(finding.Block, Is.EqualTo(new Interop.LaunchSize(0, 0, 0)));
            Assert.That(finding.Thread, Is.EqualTo(new Interop.LaunchSize(0, 5, 0)));
            Assert.That(finding.Address, Is.EqualTo(output + 20));
            Assert.That(fault.Message, Does.Contain("copy").And.Contain("line 14").And.Contain("Copy.cs:42").And.Contain($"0x{output + 20:x}"));
            Assert.That(fault.ResultCode, Is.EqualTo(Interop.CudaResult.IllegalAddress));
        });
    }

    [Test]
    public void Freed_memory_is_told_from_memory_that_never_was()
    {
        PtxKernel kernel = PtxDevice.Kernel(PtxDevice.Module(".param .u64 out", "ld.param.u64 %rd1, [out]; st.global.u32 [%rd1], 1;"));
        using PtxDevice device = new();
        ulong output = device.Allocate<uint>(1);
        device.Run(kernel, new(1), new(1), 0, output);
        device.Memory.Free(output);

        Finding finding = Assert.Throws<EmulatorFaultException>(() => device.Run(kernel, new(1), new(1), 0, output))!.Findings.Single();

        Assert.That(finding.Kind, Is.EqualTo(FindingKind.UseAfterFree));
    }

    [TestCase("st.global.u32 [%rd1], %r2;", true)]
    [TestCase("st.global.u32 [%rd1], 5;", false)]
    [TestCase("red.global.add.u32 [%rd1], %r2;", false)]
    [TestCase("mul.wide.u32 %rd2, %r2, 4; add.s64 %rd2, %rd1, %rd2; ld.global.u32 %r3, [%rd1]; st.global.u32 [%rd2], 1;", true)]
    [TestCase("mul.wide.u32 %rd2, %r2, 4; add.s64 %rd2, %rd1, %rd2; ld.global.u32 %r3, [%rd2]; st.global.u32 [%rd2], %r3;", false)]
    public void Blocks_that_share_a_word_race(string body, bool isRace)
    {
        PtxKernel kernel = PtxDevice.Kernel(PtxDevice.Module(".param .u64 out", $"ld.param.u64 %rd1, [out]; mov.u32 %r2, %ctaid.x; {body}"));
        using PtxDevice device = new(new EmulatorOptions { Checks = EmulatorChecks.All });
        ulong output = device.Upload(1, 2, 3);
        Action run = () => device.Run(kernel, new(3), new(1), 0, output);

        if (isRace)
        {
            Assert.That(run, Throws.TypeOf<EmulatorFaultException>().With.Property(nameof(EmulatorFaultException.Findings)).All.Property(nameof(Finding.Kind)).EqualTo(FindingKind.Race));
        }
        else
        {
            Assert.That(run, Throws.Nothing);
        }
    }

    [Test]
    public void Checks_that_are_off_find_nothing_and_change_nothing()
    {
        const string Racy = "st.shared.u32 [%r2], %r1; ld.shared.u32 %r10, [%r3]; ld.global.u32 %r11, [%rd5];";
        Assert.That(Run(Racy, EmulatorChecks.Memory), Is.Empty);
    }

    /// <summary>Copies a word to the thread's place and reads it back.</summary>
    private static string Copied(string source) => $"cp.async.ca.shared.global [%r2], [{source}], 4; cp.async.wait_all; ld.shared.u32 %r10, [%r2];";

    /// <summary>Copies a word to the thread's place and reads the next thread's.</summary>
    private static string Copy(string wait) => $"st.shared.u32 [%r2], %r1; bar.sync 0; cp.async.ca.shared.global [%r2], [%rd4], 4; cp.async.commit_group; {wait} ld.shared.u32 %r10, [%r3];";

    private static TestCaseData Fault(string name, FindingKind kind, string faulty, string sound, int? thread = null) =>
        new TestCaseData(kind, faulty, sound, thread).SetArgDisplayNames(name);

    private static IReadOnlyList<Finding> Run(string body, EmulatorChecks checks = EmulatorChecks.All)
    {
        PtxKernel kernel = PtxDevice.Kernel(PtxDevice.Module(".param .u64 in, .param .u64 out", $"{Begin}\n{body}\nret;"));
        using PtxDevice device = new(new EmulatorOptions { Checks = checks, Threads = 1 });
        ulong input = device.Upload(new int[64]);
        ulong output = device.Allocate<int>(64);
        try
        {
            device.Run(kernel, new(1), new(64), 0, input, output);
            return [];
        }
        catch (EmulatorFaultException fault)
        {
            return fault.Findings;
        }
    }
}
