
namespace KernelAD.Emulator.Tests;

/// <summary>Instructions between the lanes of a warp, against PTX ISA's pseudo-code.</summary>
public sealed class WarpTests
{
    private static readonly string[] Modes = ["up", "down", "bfly", "idx"];

    [Test]
    public void Shuffles_read_the_lane_that_the_manual_says([ValueSource(nameof(Modes))] string mode, [Values(0x1F, 0, 0x181F, 0x1800, 0x1C07, 0x0F)] int clamp)
    {
        uint[] values = Randoms(11);
        uint[] lanes = [.. Randoms(clamp).Select(value => value % 40)];
        uint[] results = Run($"shfl.sync.{mode}.b32 %r20|%p1, %r10, %r11, {clamp}, -1; selp.u32 %r21, 1, 0, %p1;", values, lanes);

        for (int lane = 0; lane < 32; lane++)
        {
            (uint expected, bool isInRange) = Shuffle(mode, values, lane, (int)lanes[lane] & 31, clamp);
            Assert.That((results[2 * lane], results[(2 * lane) + 1]), Is.EqualTo((expected, isInRange ? 1u : 0)), $"lane {lane}");
        }
    }

    [Test]
    public void Votes_count_the_active_members()
    {
        uint[] values = [.. Enumerable.Range(0, 32).Select(i => (uint)(i % 3))];
        uint[] results = Run("""
            setp.eq.u32 %p1, %r10, 1;
            setp.lt.u32 %p2, %r10, 3;
            vote.sync.ballot.b32 %r20, %p1, 0xFFFFFFFF;
            vote.sync.all.pred %p3, %p2, 0xFFFFFFFF;
            vote.sync.any.pred %p4, !%p2, 0xFFFFFFFF;
            vote.sync.uni.pred %p5, %p1, 0xFFFFFFFF;
            selp.u32 %r21, 1, 0, %p3;
            @%p4 add.u32 %r21, %r21, 10;
            @%p5 add.u32 %r21, %r21, 100;
            """, values, values);

        uint ballot = (uint)Enumerable.Range(0, 32).Where(i => i % 3 == 1).Sum(i => 1L << i);
        Assert.That(results, Is.EqualTo(Enumerable.Range(0, 32).SelectMany(_ => new[] { ballot, 1u })));
    }

    [Test]
    public void Matches_and_reductions_see_all_lanes()
    {
        uint[] values = [.. Enumerable.Range(0, 32).Select(i => (uint)(i / 5) - 2)];
        uint[] results = Run("""
            match.any.sync.b32 %r20, %r10, 0xFFFFFFFF;
            redux.sync.add.s32 %r1, %r10, 0xFFFFFFFF;
            redux.sync.min.s32 %r2, %r10, 0xFFFFFFFF;
            redux.sync.max.u32 %r3, %r10, 0xFFFFFFFF;
            redux.sync.xor.b32 %r4, %r10, 0xFFFFFFFF;
            match.all.sync.b32 %r5|%p1, %r10, 0xFFFFFFFF;
            @!%p1 add.u32 %r5, %r5, 1;
            mul.lo.u32 %r21, %r1, 3;
            mad.lo.u32 %r21, %r2, 5, %r21;
            mad.lo.u32 %r21, %r3, 7, %r21;
            mad.lo.u32 %r21, %r4, 11, %r21;
            mad.lo.u32 %r21, %r5, 13, %r21;
            """, values, values);

        uint sum = values.Aggregate((a, b) => a + b);
        uint xor = values.Aggregate((a, b) => a ^ b);
        uint expected = unchecked((sum * 3) + ((uint)-2 * 5) + (uint.MaxValue * 7) + (xor * 11) + 13);
        for (int lane = 0; lane < 32; lane++)
        {
            uint same = (uint)Enumerable.Range(0, 32).Where(i => values[i] == values[lane]).Sum(i => 1L << i);
            Assert.That((results[2 * lane], results[(2 * lane) + 1]), Is.EqualTo((same, expected)));
        }
    }

    [Test]
    public void Matrices_are_multiplied_by_the_warp()
    {
        // A is all ones, B has the lane's number in both halves of its register: by PTX ISA's layout row 2·(lane mod 4) and the next of column lane / 4.
        uint[] values = Enumerable.Repeat(0x3C00_3C00u, 32).ToArray();
        uint[] numbers = [.. Enumerable.Range(0, 32).Select(i => (uint)BitConverter.HalfToUInt16Bits((Half)i) * 0x1_0001u)];
        uint[] results = Run("""
            mov.f32 %f1, 0f3F000000;
            mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%f1, %f2, %f3, %f4}, {%r10, %r10}, {%r11}, {%f1, %f1, %f1, %f1};
            mov.b32 %r20, %f1;
            mov.b32 %r21, %f4;
            """, values, numbers);

        for (int lane = 0; lane < 32; lane++)
        {
            float Column(int column) => 0.5f + (2 * Enumerable.Range(0, 4).Sum(i => (4 * column) + i));
            int first = 2 * (lane % 4);
            Assert.That(BitConverter.UInt32BitsToSingle(results[2 * lane]), Is.EqualTo(Column(first)));
            Assert.That(BitConverter.UInt32BitsToSingle(results[(2 * lane) + 1]), Is.EqualTo(Column(first + 1)));
        }
    }

    [Test]
    public void Matrices_are_loaded_from_shared_memory()
    {
        // Row r of matrix m is where lane 8·m + r points to; every 16-bit element holds its own number.
        uint[] lanes = [.. Enumerable.Range(0, 32).Select(i => (uint)i)];
        uint[] results = Run("""
            .shared .align 16 .b8 tile[512];
            mov.u32 %r1, tile;
            shl.b32 %r2, %r10, 4;
            xor.b32 %r2, %r2, 0x30;
            add.u32 %r1, %r1, %r2;
            mul.lo.u32 %r3, %r10, 0x80008;
            add.u32 %r3, %r3, 0x10000;
            add.u32 %r4, %r3, 0x20002;
            add.u32 %r5, %r3, 0x40004;
            add.u32 %r6, %r3, 0x60006;
            st.shared.v4.b32 [%r1], {%r3, %r4, %r5, %r6};
            bar.warp.sync -1;
            ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r20, %r7, %r8, %r9}, [%r1];
            ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r7, %r21}, [%r1];
            """, lanes, lanes);

        for (int lane = 0; lane < 32; lane++)
        {
            uint element = (uint)((8 * (lane / 4)) + (2 * (lane % 4)));
            uint transposed = (uint)((8 * (8 + (2 * (lane % 4)))) + (lane / 4));
            Assert.That((results[2 * lane], results[(2 * lane) + 1]), Is.EqualTo((element | ((element + 1) << 16), transposed | ((transposed + 8) << 16))), $"lane {lane}");
        }
    }

    private static (uint Value, bool IsInRange) Shuffle(string mode, uint[] values, int lane, int b, int c)
    {
        int segment = c >> 8 & 31;
        int clamp = c & 31;
        int most = (lane & segment) | (clamp & ~segment);
        int least = lane & segment;
        int source = mode switch { "up" => lane - b, "down" => lane + b, "bfly" => lane ^ b, _ => least | (b & ~segment) };
        bool isInRange = mode == "up" ? source >= most : source <= most;
        return (values[isInRange ? source : lane], isInRange);
    }

    private static uint[] Randoms(int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, 32).Select(_ => (uint)random.Next())];
    }

    /// <summary>Two words a lane are in %r10 and %r11; the results are %r20 and %r21.</summary>
    private static uint[] Run(string instructions, uint[] first, uint[] second)
    {
        string body = $$"""
            ld.param.u64 %rd1, [a];
            ld.param.u64 %rd2, [b];
            ld.param.u64 %rd3, [out];
            mov.u32 %r90, %tid.x;
            mul.wide.u32 %rd4, %r90, 4;
            add.s64 %rd1, %rd1, %rd4;
            add.s64 %rd2, %rd2, %rd4;
            shl.b64 %rd4, %rd4, 1;
            add.s64 %rd3, %rd3, %rd4;
            ld.global.u32 %r10, [%rd1];
            ld.global.u32 %r11, [%rd2];
            {{instructions}}
            st.global.v2.u32 [%rd3], {%r20, %r21};
            """;
        using PtxDevice device = new(new EmulatorOptions { Checks = EmulatorChecks.All, Threads = 1 });
        ulong output = device.Allocate<uint>(64);
        device.Run(PtxDevice.Kernel(PtxDevice.Module(".param .u64 a, .param .u64 b, .param .u64 out", body)), new(1), new(32), 0, device.Upload(first), device.Upload(second), output);
        return device.Download<uint>(output, 64);
    }
}
