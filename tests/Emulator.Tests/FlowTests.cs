namespace KernelAD.Emulator.Tests;

/// <summary>Divergence and reconvergence, barriers, and the order of what warps see.</summary>
public sealed class FlowTests
{
    private const string Begin = """
        ld.param.u64 %rd1, [out];
        mov.u32 %r1, %tid.x;
        mul.wide.u32 %rd2, %r1, 4;
        add.s64 %rd1, %rd1, %rd2;
        mov.u32 %r9, 0;
        """;

    private const string End = """
        st.global.u32 [%rd1], %r9;
        ret;
        """;

    [Test]
    public void Nested_branches_give_every_thread_its_own_way()
    {
        uint[] results = Run("""
            and.b32 %r2, %r1, 1;
            and.b32 %r3, %r1, 2;
            setp.ne.u32 %p1, %r2, 0;
            setp.ne.u32 %p2, %r3, 0;
            @%p1 bra ODD;
            @%p2 bra EVEN2;
            add.u32 %r9, %r9, 1;
            bra.uni EVENEND;
            EVEN2:
            add.u32 %r9, %r9, 10;
            EVENEND:
            add.u32 %r9, %r9, 100;
            bra END;
            ODD:
            @!%p2 add.u32 %r9, %r9, 1000;
            @%p2 add.u32 %r9, %r9, 10000;
            END:
            activemask.b32 %r10;
            popc.b32 %r10, %r10;
            mad.lo.u32 %r9, %r10, 1000000, %r9;
            """, 45);

        Assert.That(results, Is.EqualTo(Enumerable.Range(0, 45).Select(i => (uint)(((i & 1) != 0 ? (i & 2) != 0 ? 10000 : 1000 : (i & 2) != 0 ? 110 : 101)
            + (1_000_000 * (i < 32 ? 32 : 13))))));
    }

    [Test]
    public void Loops_of_different_lengths_meet_behind_the_loop()
    {
        uint[] results = Run("""
            mov.u32 %r2, 0;
            LOOP:
            setp.ge.u32 %p1, %r2, %r1;
            @%p1 bra DONE;
            add.u32 %r9, %r9, %r2;
            add.u32 %r2, %r2, 1;
            bra LOOP;
            DONE:
            activemask.b32 %r10;
            popc.b32 %r10, %r10;
            mad.lo.u32 %r9, %r10, 1000000, %r9;
            """, 64);

        Assert.That(results, Is.EqualTo(Enumerable.Range(0, 64).Select(i => (uint)((i * (i - 1) / 2) + 32_000_000))));
    }

    [Test]
    public void Breaks_and_continues_inside_nested_loops_keep_threads_apart()
    {
        uint[] results = Run("""
            mov.u32 %r2, 0;
            OUTER:
            mov.u32 %r3, 0;
            INNER:
            add.u32 %r4, %r2, %r3;
            rem.u32 %r5, %r1, 7;
            setp.eq.u32 %p1, %r4, %r5;
            @%p1 bra BREAK;
            and.b32 %r6, %r3, 1;
            setp.eq.u32 %p2, %r6, 1;
            @%p2 bra CONTINUE;
            add.u32 %r9, %r9, 1;
            CONTINUE:
            add.u32 %r3, %r3, 1;
            setp.lt.u32 %p3, %r3, 5;
            @%p3 bra INNER;
            BREAK:
            add.u32 %r2, %r2, 1;
            rem.u32 %r7, %r1, 5;
            setp.le.u32 %p4, %r2, %r7;
            @%p4 bra OUTER;
            """, 97);

        uint Reference(int thread)
        {
            uint sum = 0;
            for (int outer = 0; outer <= thread % 5; outer++)
            {
                for (int inner = 0; inner < 5 && outer + inner != thread % 7; inner++)
                {
                    sum += (inner & 1) == 0 ? 1u : 0;
                }
            }

            return sum;
        }

        Assert.That(results, Is.EqualTo(Enumerable.Range(0, 97).Select(Reference)));
    }

    [Test]
    public void Threads_that_leave_early_do_not_hold_up_the_others()
    {
        uint[] results = Run("""
            mov.u32 %r9, 7;
            and.b32 %r2, %r1, 3;
            setp.eq.u32 %p1, %r2, 3;
            @%p1 bra LEAVE;
            setp.eq.u32 %p2, %r2, 2;
            @%p2 exit;
            bar.sync 0;
            activemask.b32 %r9;
            bra END;
            LEAVE:
            st.global.u32 [%rd1], %r1;
            exit;
            END:
            """, 64, 0xAAAA_AAAA);

        Assert.That(results, Is.EqualTo(Enumerable.Range(0, 64).Select(i => (i & 3) switch { 3 => (uint)i, 2 => 0xAAAA_AAAA, _ => 0x3333_3333u })));
    }

    [Test]
    public void A_branch_out_of_a_divergent_branch_still_meets_at_the_end()
    {
        // Unstructured: two ways into the same block.
        uint[] results = Run("""
            and.b32 %r2, %r1, 3;
            setp.eq.u32 %p1, %r2, 0;
            setp.eq.u32 %p2, %r2, 1;
            @%p1 bra SHARED;
            add.u32 %r9, %r9, 1;
            @%p2 bra SHARED;
            add.u32 %r9, %r9, 2;
            bra END;
            SHARED:
            add.u32 %r9, %r9, 100;
            END:
            activemask.b32 %r10;
            popc.b32 %r10, %r10;
            mad.lo.u32 %r9, %r10, 1000, %r9;
            """, 32);

        Assert.That(results, Is.EqualTo(Enumerable.Range(0, 32).Select(i => 32_000u + ((i & 3) switch { 0 => 100u, 1 => 101u, _ => 3u }))));
    }

    [Test]
    public void Barriers_let_all_warps_see_what_was_written_before()
    {
        // Each round every thread adds its right neighbour's value, of another warp at the edges.
        uint[] results = Run("""
            .shared .align 4 .b8 tile[512];
            mov.u32 %r20, tile;
            shl.b32 %r2, %r1, 2;
            add.u32 %r2, %r20, %r2;
            add.u32 %r3, %r1, 1;
            rem.u32 %r3, %r3, 128;
            shl.b32 %r3, %r3, 2;
            add.u32 %r3, %r20, %r3;
            mov.u32 %r9, %r1;
            mov.u32 %r4, 0;
            ROUND:
            st.shared.u32 [%r2], %r9;
            bar.sync 0;
            ld.shared.u32 %r5, [%r3];
            add.u32 %r9, %r9, %r5;
            bar.sync 0;
            add.u32 %r4, %r4, 1;
            setp.lt.u32 %p1, %r4, 3;
            @%p1 bra ROUND;
            """, 128);

        uint[] values = [.. Enumerable.Range(0, 128).Select(i => (uint)i)];
        for (int round = 0; round < 3; round++)
        {
            values = [.. values.Select((value, i) => value + values[(i + 1) % 128])];
        }

        Assert.That(results, Is.EqualTo(values));
    }

    [Test]
    public void Named_barriers_join_only_the_warps_that_use_them()
    {
        // Warps 0 and 1 exchange over barrier 1, warps 2 and 3 over barrier 2.
        uint[] results = Run("""
            .shared .align 4 .b8 tile[512];
            mov.u32 %r20, tile;
            shl.b32 %r2, %r1, 2;
            add.u32 %r2, %r20, %r2;
            xor.b32 %r3, %r1, 32;
            shl.b32 %r3, %r3, 2;
            add.u32 %r3, %r20, %r3;
            st.shared.u32 [%r2], %r1;
            shr.u32 %r4, %r1, 6;
            add.u32 %r4, %r4, 1;
            bar.sync %r4, 64;
            ld.shared.u32 %r9, [%r3];
            """, 128);

        Assert.That(results, Is.EqualTo(Enumerable.Range(0, 128).Select(i => (uint)(i ^ 32))));
    }

    [Test]
    public void A_barrier_can_count_and_combine_predicates()
    {
        uint[] results = Run("""
            setp.lt.u32 %p1, %r1, 40;
            bar.red.popc.u32 %r9, 0, %p1;
            bar.red.and.pred %p2, 0, %p1;
            bar.red.or.pred %p3, 0, !%p1;
            @%p2 add.u32 %r9, %r9, 1000;
            @%p3 add.u32 %r9, %r9, 2000;
            """, 96);

        Assert.That(results, Is.All.EqualTo(2040u));
    }

    [Test]
    public void A_loop_without_end_is_stopped()
    {
        PtxKernel kernel = PtxDevice.Kernel(PtxDevice.Module(".param .u64 out", "AGAIN: add.u32 %r1, %r1, 1; bra AGAIN;"));
        using PtxDevice device = new(new EmulatorOptions { WatchdogInstructions = 10_000, Threads = 1 });

        Assert.That(() => device.Run(kernel, new(1), new(32), 0, 0), Throws.TypeOf<EmulatorFaultException>()
            .With.Property(nameof(EmulatorFaultException.Findings)).One.Property(nameof(Finding.Kind)).EqualTo(FindingKind.Watchdog));
    }

    [Test]
    public void A_trap_stops_the_launch_and_names_the_thread()
    {
        PtxKernel kernel = PtxDevice.Kernel(PtxDevice.Module("", "mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 37; @%p1 trap;"));
        using PtxDevice device = new();

        Finding finding = Assert.Throws<EmulatorFaultException>(() => device.Run(kernel, new(1), new(64), 0))!.Findings.Single();

        Assert.That((finding.Kind, finding.Thread.X, finding.Kernel), Is.EqualTo((FindingKind.Trap, 37, "k")));
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(5)]
    public void Results_counters_and_findings_do_not_depend_on_the_number_of_threads(int threads)
    {
        const string Body = """
            ld.param.u64 %rd1, [out];
            ld.param.u64 %rd5, [sum];
            mov.u32 %r1, %tid.x;
            mov.u32 %r2, %ctaid.x;
            mad.lo.u32 %r3, %r2, 64, %r1;
            mul.wide.u32 %rd2, %r3, 4;
            add.s64 %rd1, %rd1, %rd2;
            cvt.rn.f32.u32 %f1, %r3;
            mul.f32 %f1, %f1, 0f3DCCCCCD;
            mul.f32 %f2, %f77, %f1;
            st.global.f32 [%rd1], %f1;
            """;
        PtxKernel kernel = PtxDevice.Kernel(PtxDevice.Module(".param .u64 out, .param .u64 sum", Body));
        PtxKernel summing = PtxDevice.Kernel(PtxDevice.Module(".param .u64 out, .param .u64 sum", Body + "red.global.add.f32 [%rd5], %f1;"));
        (float[] Values, float[] Sum, LaunchCounters Counters) Once(int count)
        {
            using PtxDevice device = new(new EmulatorOptions { Threads = count, Count = true });
            ulong output = device.Allocate<float>(64 * 33);
            ulong sum = device.Upload(0f);
            LaunchCounters counters = device.Run(kernel, new(33), new(64), 0, output, sum) + device.Run(summing, new(33), new(64), 0, output, sum);
            return (device.Download<float>(output, 64 * 33), device.Download<float>(sum, 1), counters);
        }

        (float[] values, float[] total, LaunchCounters expected) = Once(1);
        (float[] others, float[] otherTotal, LaunchCounters counted) = Once(threads);
        Assert.Multiple(() =>
        {
            Assert.That(others, Is.EqualTo(values));
            Assert.That(otherTotal, Is.EqualTo(total));
            Assert.That(counted, Is.EqualTo(expected));
            Assert.That(FirstFault(threads), Is.EqualTo(FirstFault(1)));
        });
    }

    /// <summary>Blocks from 5 on store outside: the lowest one is reported.</summary>
    private static Finding FirstFault(int threads)
    {
        PtxKernel kernel = PtxDevice.Kernel(PtxDevice.Module(".param .u64 out", """
            ld.param.u64 %rd1, [out];
            mov.u32 %r2, %ctaid.x;
            mul.wide.u32 %rd2, %r2, 4;
            add.s64 %rd1, %rd1, %rd2;
            st.global.u32 [%rd1], %r2;
            """));
        using PtxDevice device = new(new EmulatorOptions { Threads = threads });
        ulong output = device.Allocate<uint>(5);
        Finding finding = Assert.Throws<EmulatorFaultException>(() => device.Run(kernel, new(40), new(32), 0, output))!.Findings.Single();
        Assert.That(finding.Block.X, Is.EqualTo(5));
        return finding;
    }

    private static uint[] Run(string body, int threads, uint initial = 0)
    {
        using PtxDevice device = new();
        ulong output = device.Upload(Enumerable.Repeat(initial, threads).ToArray());
        device.Run(PtxDevice.Kernel(PtxDevice.Module(".param .u64 out", $"{Begin}\n{body}\n{End}")), new(1), new(threads), 0, output);
        return device.Download<uint>(output, threads);
    }
}
