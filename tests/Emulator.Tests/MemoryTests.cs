using System.Runtime.InteropServices;

namespace KernelAD.Emulator.Tests;

/// <summary>Loads and stores of every space and size, parameters, atomics, asynchronous copies.</summary>
public sealed class MemoryTests
{
    [Test]
    public void Vectors_and_parts_of_words_are_loaded_and_stored_where_they_belong()
    {
        const string Body = """
            ld.param.u64 %rd1, [in];
            ld.param.u64 %rd2, [out];
            mov.u32 %r1, %tid.x;
            mul.wide.u32 %rd3, %r1, 32;
            add.s64 %rd1, %rd1, %rd3;
            add.s64 %rd2, %rd2, %rd3;
            ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%r2, %r3, %r4, %r5}, [%rd1];
            ld.global.v2.u64 {%rd4, %rd5}, [%rd1+16];
            ld.global.s8 %r6, [%rd1+1];
            ld.global.u16 %h1, [%rd1+2];
            ld.global.s16 %rd7, [%rd1+4];
            st.global.v4.u32 [%rd2], {%r5, %r4, %r3, %r6};
            st.global.cs.v2.b64 [%rd2+16], {%rd5, %rd7};
            st.global.u8 [%rd2+3], %r5;
            st.global.b16 [%rd2+6], %h1;
            """;
        using PtxDevice device = new();
        byte[] input = new byte[32 * 70];
        new Random(1).NextBytes(input);
        ulong output = device.Allocate<byte>(input.Length);
        device.Run(PtxDevice.Kernel(PtxDevice.Module(".param .u64 in, .param .u64 out", Body)), new(1), new(70), 0, device.Upload(input), output);

        byte[] results = device.Download<byte>(output, input.Length);
        for (int thread = 0; thread < 70; thread++)
        {
            Span<byte> from = input.AsSpan(32 * thread, 32);
            byte[] expected = new byte[32];
            from[12..16].CopyTo(expected);
            from[8..12].CopyTo(expected.AsSpan(4));
            from[4..8].CopyTo(expected.AsSpan(8));
            MemoryMarshal.Write(expected.AsSpan(12), (int)(sbyte)from[1]);
            from[24..32].CopyTo(expected.AsSpan(16));
            MemoryMarshal.Write(expected.AsSpan(24), (long)MemoryMarshal.Read<short>(from[4..]));
            expected[3] = from[12];
            from[2..4].CopyTo(expected.AsSpan(6));
            Assert.That(results[(32 * thread)..(32 * (thread + 1))], Is.EqualTo(expected));
        }
    }

    [Test]
    public void Shared_vectors_come_back_as_they_went_for_whole_and_partial_warps()
    {
        const string Body = """
            .shared .align 16 .b8 pad[16];
            .shared .align 16 .b8 tile[1024];
            ld.param.u64 %rd2, [out];
            mov.u32 %r1, %tid.x;
            mov.u32 %r2, tile;
            xor.b32 %r3, %r1, 5;
            shl.b32 %r4, %r1, 4;
            shl.b32 %r5, %r3, 4;
            add.u32 %r4, %r4, %r2;
            add.u32 %r5, %r5, %r2;
            add.u32 %r6, %r1, 100;
            add.u32 %r7, %r1, 200;
            add.u32 %r8, %r1, 300;
            st.shared.v4.u32 [%r4], {%r1, %r6, %r7, %r8};
            bar.sync 0;
            ld.shared.v4.u32 {%r10, %r11, %r12, %r13}, [%r5];
            ld.shared.v2.u32 {%r14, %r15}, [%r5+8];
            ld.shared.u32 %r16, [%r5+4];
            mul.wide.u32 %rd3, %r1, 32;
            add.s64 %rd2, %rd2, %rd3;
            st.global.v4.u32 [%rd2], {%r10, %r11, %r12, %r13};
            st.global.v4.u32 [%rd2+16], {%r14, %r15, %r16, %r2};
            """;
        using PtxDevice device = new();
        ulong output = device.Allocate<uint>(8 * 48);
        PtxKernel kernel = PtxDevice.Kernel(PtxDevice.Module(".param .u64 out", Body));
        device.Run(kernel, new(1), new(48), 0, output);

        uint[] results = device.Download<uint>(output, 8 * 48);
        Assert.That(kernel.StaticSharedBytes, Is.EqualTo(1040));
        for (uint i = 0; i < 48; i++)
        {
            uint from = i ^ 5;
            Assert.That(results[(int)(8 * i)..(int)((8 * i) + 8)], Is.EqualTo(new[] { from, from + 100, from + 200, from + 300, from + 200, from + 300, from + 100, 16u }));
        }
    }

    [Test]
    public void Generic_addresses_reach_all_spaces()
    {
        const string Body = """
            .local .align 8 .b8 depot[16];
            .shared .align 4 .b8 tile[128];
            ld.param.u64 %rd2, [out];
            cvta.to.global.u64 %rd2, %rd2;
            mov.u32 %r1, %tid.x;
            mul.wide.u32 %rd3, %r1, 4;
            mov.u64 %rd4, tile;
            cvta.shared.u64 %rd5, %rd4;
            add.s64 %rd5, %rd5, %rd3;
            st.u32 [%rd5], %r1;
            mov.b64 %rd6, depot;
            cvta.local.u64 %rd7, %rd6;
            add.u32 %r2, %r1, 1000;
            st.u32 [%rd7+8], %r2;
            ld.local.u32 %r3, [depot+8];
            and.b32 %r4, %r1, 1;
            setp.eq.u32 %p1, %r4, 0;
            add.s64 %rd9, %rd7, 8;
            selp.b64 %rd8, %rd5, %rd9, %p1;
            ld.u32 %r5, [%rd8];
            isspacep.shared %p2, %rd8;
            @%p2 add.u32 %r5, %r5, 5000;
            add.u32 %r5, %r5, %r3;
            add.s64 %rd2, %rd2, %rd3;
            st.u32 [%rd2], %r5;
            """;
        using PtxDevice device = new();
        ulong output = device.Allocate<uint>(32);
        device.Run(PtxDevice.Kernel(PtxDevice.Module(".param .u64 out", Body)), new(1), new(32), 0, output);

        Assert.That(device.Download<uint>(output, 32), Is.EqualTo(Enumerable.Range(0, 32).Select(i => (uint)((i % 2 == 0 ? i + 5000 : i + 1000) + i + 1000))));
    }

    [Test]
    public void Parameters_are_laid_out_as_in_C()
    {
        const string Body = """
            ld.param.u64 %rd1, [p1];
            ld.param.u8 %r1, [p0];
            ld.param.s16 %r2, [p2+6];
            ld.param.f32 %f1, [p2+8];
            ld.param.v2.u32 {%r4, %r5}, [p2+16];
            ld.param.s8 %h3, [p3];
            cvt.s32.s16 %r6, %h3;
            mov.b32 %r3, %f1;
            st.global.v4.u32 [%rd1], {%r1, %r2, %r3, %r4};
            st.global.v2.u32 [%rd1+16], {%r5, %r6};
            """;
        PtxKernel kernel = PtxDevice.Kernel(PtxDevice.Module(".param .u8 p0, .param .u64 p1, .param .align 8 .b8 p2[24], .param .s8 p3", Body));
        using PtxDevice device = new();
        ulong output = device.Allocate<uint>(6);
        byte[] parameters = new byte[41];
        parameters[0] = 200;
        MemoryMarshal.Write(parameters.AsSpan(8), output);
        MemoryMarshal.Write(parameters.AsSpan(16 + 6), (short)-5);
        MemoryMarshal.Write(parameters.AsSpan(16 + 8), 1.5f);
        MemoryMarshal.Write(parameters.AsSpan(16 + 16), 77);
        MemoryMarshal.Write(parameters.AsSpan(16 + 20), 88);
        parameters[40] = 0xFE;
        KernelRun.Execute(kernel, new(1), new(1), 0, parameters, device.Memory, device.Options);

        Assert.That(kernel.Parameters.Select(parameter => (parameter.Size, parameter.Offset)), Is.EqualTo(new[] { (1, 0), (8, 8), (24, 16), (1, 40) }));
        Assert.That(device.Download<int>(output, 6), Is.EqualTo(new[] { 200, -5, BitConverter.SingleToInt32Bits(1.5f), 77, 88, -2 }));
    }

    [Test]
    public void Addresses_beyond_32_bits_are_computed_in_64_bits()
    {
        const string Body = """
            ld.param.u64 %rd1, [out];
            mov.u32 %r1, %tid.x;
            mul.wide.s32 %rd2, %r1, -4;
            add.s64 %rd1, %rd1, %rd2;
            add.s64 %rd1, %rd1, 0x7000000000;
            st.global.u32 [%rd1+-481036337028], %r1;
            """; // 0x70_0000_0000 less 124.
        using PtxDevice device = new();
        ulong output = device.Allocate<uint>(64);
        device.Run(PtxDevice.Kernel(PtxDevice.Module(".param .u64 out", Body)), new(1), new(32), 0, output);

        Assert.That(device.Download<uint>(output, 32), Is.EqualTo(Enumerable.Range(0, 32).Select(i => (uint)(31 - i))));
    }

    [Test]
    public void Atomics_take_their_turn()
    {
        const string Body = """
            ld.param.u64 %rd1, [out];
            mov.u32 %r1, %tid.x;
            mov.u32 %r5, %ctaid.x;
            mad.lo.u32 %r1, %r5, 64, %r1;
            atom.global.add.u32 %r2, [%rd1], 3;
            red.global.max.s32 [%rd1+4], %r1;
            red.global.min.u32 [%rd1+8], %r1;
            atom.global.or.b32 %r3, [%rd1+12], %r1;
            red.global.xor.b32 [%rd1+16], %r1;
            atom.global.cas.b32 %r4, [%rd1+20], %r1, 1000;
            red.global.add.u64 [%rd1+24], 0x100000001;
            atom.global.inc.u32 %r6, [%rd1+32], 9;
            mov.f32 %f1, 0f3F000000;
            red.global.add.f32 [%rd1+36], %f1;
            atom.global.exch.b32 %r7, [%rd1+40], %r1;
            """;
        using PtxDevice device = new(new EmulatorOptions { Threads = 2 });
        ulong output = device.Upload(0, -1, 1_000_000, 0, 0, 77, 0, 0, 0, 0, 0);
        device.Run(PtxDevice.Kernel(PtxDevice.Module(".param .u64 out", Body)), new(2), new(64), 0, output);

        int xor = Enumerable.Range(0, 128).Aggregate(0, (a, b) => a ^ b);
        Assert.That(device.Download<int>(output, 11), Is.EqualTo(new[] { 384, 127, 0, 127, xor, 1000, 128, 128, 8, BitConverter.SingleToInt32Bits(64), 127 }));
    }

    [Test]
    public void Asynchronous_copies_land_at_the_wait_that_covers_them_and_not_before()
    {
        // Two groups; after waiting for all but one only the first has landed. Thread i copies 16 bytes a group; the second reads only i bytes.
        const string Body = """
            .shared .align 16 .b8 tile[1024];
            ld.param.u64 %rd1, [in];
            ld.param.u64 %rd2, [out];
            mov.u32 %r1, %tid.x;
            mul.wide.u32 %rd3, %r1, 16;
            add.s64 %rd1, %rd1, %rd3;
            mul.wide.u32 %rd4, %r1, 64;
            add.s64 %rd2, %rd2, %rd4;
            mov.u32 %r2, tile;
            shl.b32 %r3, %r1, 4;
            add.u32 %r2, %r2, %r3;
            mov.u32 %r4, 7;
            min.u32 %r5, %r1, 16;
            st.shared.v4.u32 [%r2], {%r4, %r4, %r4, %r4};
            st.shared.v4.u32 [%r2+512], {%r4, %r4, %r4, %r4};
            cp.async.cg.shared.global [%r2], [%rd1], 16;
            cp.async.commit_group;
            cp.async.cg.shared.global.L2::128B [%r2+512], [%rd1+512], 16, %r5;
            cp.async.commit_group;
            ld.shared.v4.u32 {%r10, %r11, %r12, %r13}, [%r2];
            st.global.v4.u32 [%rd2], {%r10, %r11, %r12, %r13};
            cp.async.wait_group 1;
            ld.shared.v4.u32 {%r10, %r11, %r12, %r13}, [%r2];
            st.global.v4.u32 [%rd2+16], {%r10, %r11, %r12, %r13};
            ld.shared.v4.u32 {%r10, %r11, %r12, %r13}, [%r2+512];
            st.global.v4.u32 [%rd2+32], {%r10, %r11, %r12, %r13};
            cp.async.wait_group 0;
            ld.shared.v4.u32 {%r10, %r11, %r12, %r13}, [%r2+512];
            st.global.v4.u32 [%rd2+48], {%r10, %r11, %r12, %r13};
            """;
        byte[] input = new byte[1024];
        new Random(2).NextBytes(input);
        using PtxDevice device = new();
        ulong output = device.Allocate<byte>(32 * 64);
        device.Run(PtxDevice.Kernel(PtxDevice.Module(".param .u64 in, .param .u64 out", Body)), new(1), new(32), 0, device.Upload(input), output);

        byte[] results = device.Download<byte>(output, 32 * 64);
        byte[] old = MemoryMarshal.AsBytes<uint>([7, 7, 7, 7]).ToArray();
        for (int i = 0; i < 32; i++)
        {
            byte[] partial = new byte[16];
            input.AsSpan(512 + (16 * i), Math.Min(i, 16)).CopyTo(partial);
            Assert.That(results[(64 * i)..(64 * (i + 1))], Is.EqualTo(old.Concat(input[(16 * i)..(16 * (i + 1))]).Concat(old).Concat(partial)), $"thread {i}");
        }
    }

    [Test]
    public void Copies_are_grouped_for_each_thread()
    {
        // Odd threads commit once more: waiting for all but one covers their copy, and not that of even threads.
        const string Body = """
            .shared .align 4 .b8 tile[128];
            ld.param.u64 %rd1, [in];
            ld.param.u64 %rd2, [out];
            mov.u32 %r1, %tid.x;
            mul.wide.u32 %rd3, %r1, 4;
            add.s64 %rd1, %rd1, %rd3;
            add.s64 %rd2, %rd2, %rd3;
            mov.u32 %r2, tile;
            shl.b32 %r3, %r1, 2;
            add.u32 %r2, %r2, %r3;
            mov.u32 %r4, 9;
            st.shared.u32 [%r2], %r4;
            cp.async.ca.shared.global [%r2], [%rd1], 4;
            cp.async.commit_group;
            and.b32 %r5, %r1, 1;
            setp.eq.u32 %p1, %r5, 1;
            @%p1 cp.async.commit_group;
            cp.async.wait_group 1;
            ld.shared.u32 %r6, [%r2];
            st.global.u32 [%rd2], %r6;
            """;
        using PtxDevice device = new();
        ulong output = device.Allocate<uint>(32);
        device.Run(
            PtxDevice.Kernel(PtxDevice.Module(".param .u64 in, .param .u64 out", Body)), new(1), new(32), 0, device.Upload(Enumerable.Range(100, 32).ToArray()), output);

        Assert.That(device.Download<uint>(output, 32), Is.EqualTo(Enumerable.Range(0, 32).Select(i => i % 2 == 0 ? 9u : (uint)(100 + i))));
    }

    [Test]
    public void Memory_is_not_given_twice_and_never_beyond_the_device()
    {
        using GlobalMemory memory = new(1000, false);
        ulong first = memory.Allocate(600);
        Assert.Multiple(() =>
        {
            Assert.That(first % 256, Is.Zero);
            Assert.That(memory.Allocate(401), Is.Zero);
            Assert.That(memory.BytesInUse, Is.EqualTo(600));
            Assert.That(memory.Free(first + 1), Is.False);
            Assert.That(memory.Free(first), Is.True);
            Assert.That(memory.Free(first), Is.False);
            Assert.That(memory.Allocate(1000), Is.Not.EqualTo(first).And.Not.Zero);
            Assert.That(memory.WasFreed(first + 5), Is.True);
        });
    }

    [TestCase(600, 0, true)]
    [TestCase(601, 0, false)]
    [TestCase(1, 600, false)]
    [TestCase(600, -1, false)]
    [TestCase(0, 599, true)]
    public unsafe void Ranges_resolve_only_inside_one_allocation(long length, long offset, bool isInside)
    {
        using GlobalMemory memory = new(10_000, false);
        memory.Allocate(100);
        ulong address = memory.Allocate(600);
        memory.Allocate(100);

        Assert.That(memory.Resolve(address + (ulong)offset, length) != null, Is.EqualTo(isInside));
    }
}
