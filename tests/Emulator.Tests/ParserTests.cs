using System.Text;
using KernelAD.Interop;

namespace KernelAD.Emulator.Tests;

/// <summary>Malformed, unusual and unsupported PTX.</summary>
public sealed class ParserTests
{
    private const string Sample = """
        // A module with a bit of everything.
        .version 7.8
        .target sm_80
        .address_size 64
        .file 1 "source.cs"
        .extern .shared .align 128 .b8 smem[];
        .shared .align 4 .b8 fixed[64];
        .visible .entry first(.param .u64 .ptr .global .align 4 p0, .param .align 8 .b8 p1[24])
        .maxntid 128, 1, 1
        .minnctapersm 2
        {
            .reg .pred %p<3>;
            .reg .b32 %r<9>, extra;
            .reg .b64 %rd<4>;
            .reg .f32 %f<4>;
            .loc 1 10 3
            ld.param.u64 %rd1, [p0];
            ld.param.b32 %r1, [p1+4];
            mov.u32 %r2, smem;
            mov.u32 %r3, 0x1F; /* hexadecimal */
            mov.u32 %r4, 017;
            mov.u32 %r5, 0b101U;
            mov.f32 %f1, 0f3F800000;
            mov.f32 %f2, 1.5;
            L1:
            .pragma "nounroll";
            setp.lt.s32 %p1, %r3, -5;
            @!%p1 bra L2;
            { .reg .b32 %r1; mov.u32 %r1, %tid.x; st.shared.u32 [fixed+4], %r1; L2: add.u32 %r1, %r1, 1; bra L3; L3: }
            bra.uni L1;
            L2:
            fma.rn.f32 %f3, %f1, %f2, %f1;
            st.global.v2.f32 [%rd1+8], {%f3, %f1};
            bar.sync 0;
            ret;
        }
        .entry second() { ret; }
        """;

    private static readonly EmulatedTarget Target = EmulatedTarget.Find("sm_80");

    private static readonly string[] Malformed =
    [
        "mov.u32 %r1 %r2;", "mov.u32 %r1, ;", "mov.u32 %r1, %r2", "add.u32 %r1, %r2;", "bra NOWHERE;", "bra;", "@%r1 ret;", "@%p1", "%p1 ret;", "ld.global.u32 %r1, [%rd1;",
        "ld.global.u32 %r1, %rd1;", "mov.u32 %nothing, 1;", "mov.u32 %r1, %unknown;", "mov.u64 %rd1, %r1;", "add.f32 %r1, %rd1, %f1;", "mov.b64 {%r1}, %rd1;", "L: L: ret;", ".reg .b32 %r<4>;",
        ".reg .b8 x;", "mov.u32 1, %r1;", "mov.u32 %r1, 0x;", "mov.u32 %r1, 08;", "mov.u32 %r1, 99999999999999999999999;", "mov.f32 %f1, 0f12;", "mov.u32 %r1, \"text\";", "mov.u32 %r1, {{%r2}, %r3};",
        "st.global.v3.u32 [%rd1], {%r1, %r2, %r3};", "ld.global.v4.u32 {%r1, %r2}, [%rd1];", "}", "{", "ret; } }", ".shared .align 3 .b8 x[4];", ".shared .b8 x[99999999999];", ".local .b8 y[];",
    ];

    private static readonly string[] Unsupported =
    [
        "tex.2d.v4.f32.f32 {%f1, %f2, %f3, %f4}, [t, {%f1, %f2}];", "call (%r1), f, (%r2);", "add.q32 %r1, %r1, %r1;", "frobnicate %r1;", "add.u32.strange %r1, %r1, %r1;",
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f16 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, {%r5, %r6}, {%f1, %f2, %f3, %f4};", "shfl.bfly.b32 %r1, %r1, 1, 31;", "mov.u32 %r1, %envreg3;",
        "wgmma.fence.sync.aligned;", "cp.async.cg.shared.global [%r1], [%rd1], 8;", "ld.const.u32 %r1, [%rd1];", "mul.u32 %r1, %r2, %r3;", "div.f32 %f1, %f2, %f3;",
    ];

    [Test]
    public void A_module_with_everything_is_read()
    {
        PtxModule module = PtxModule.Parse("sample", Sample, Target);

        PtxKernel first = module.Kernels["first"];
        Assert.Multiple(() =>
        {
            Assert.That(string.Join(",", module.Kernels.Keys), Is.EqualTo("first,second"));
            Assert.That(first.Parameters.Select(parameter => (parameter.Name, parameter.Size, parameter.Offset)), Is.EqualTo(new[] { ("p0", 8, 0), ("p1", 24, 8) }));
            Assert.That(first.ParameterBytes, Is.EqualTo(32));
            Assert.That(first.MaxThreads, Is.EqualTo(128));
            Assert.That(first.StaticSharedBytes, Is.EqualTo(128)); // 64 bytes, and dynamic memory begins at the next multiple of 128.
            Assert.That(module.Kernels["second"].MaxThreads, Is.EqualTo(1024));
        });
    }

    [Test]
    public void A_module_cut_off_anywhere_is_an_error_with_a_line_or_a_shorter_module()
    {
        for (int length = 0; length < Sample.Length; length++)
        {
            try
            {
                PtxModule.Parse("cut", Sample[..length], Target);
            }
            catch (PtxException exception)
            {
                Assert.That(exception.Line, Is.InRange(1, Sample.Split('\n').Length));
            }
        }
    }

    [Test]
    public void A_module_with_a_token_dropped_doubled_or_replaced_never_crashes()
    {
        List<PtxToken> tokens = PtxLexer.Tokenize("sample", Sample);
        string[] replacements = ["{", "}", ",", ";", "%r1", "0", "ret", "[", ".reg", "-1", "|"];
        Random random = new(3);
        for (int i = 0; i < tokens.Count - 1; i++)
        {
            foreach (string[] middle in new string[][] { [], [Write(tokens[i]), Write(tokens[i])], [replacements[random.Next(replacements.Length)]] })
            {
                StringBuilder text = new();
                foreach (string token in tokens.Take(i).Select(Write).Concat(middle).Concat(tokens.Skip(i + 1).Select(Write)))
                {
                    text.Append(token).Append(' ');
                }

                try
                {
                    PtxModule.Parse("mutated", text.ToString(), Target);
                }
                catch (PtxException)
                {
                    // Refused with a line, as it should be.
                }
            }
        }
    }

    [Test]
    public void Noise_is_refused()
    {
        Random random = new(4);
        for (int round = 0; round < 200; round++)
        {
            char[] noise = [.. Enumerable.Range(0, random.Next(200)).Select(_ => (char)random.Next(1, 300))];
            Assert.That(() => PtxModule.Parse("noise", new string(noise), Target), Throws.TypeOf<PtxException>());
        }
    }

    [TestCaseSource(nameof(Malformed))]
    public void Malformed_instructions_are_refused_with_their_line(string instruction)
    {
        PtxException exception = Assert.Throws<PtxException>(() => Kernel(instruction))!;
        Assert.Multiple(() =>
        {
            Assert.That(exception.Line, Is.GreaterThanOrEqualTo(10));
            Assert.That(exception.Fault, Is.EqualTo(CudaModuleFault.InvalidPtx));
            Assert.That(exception.Message, Does.Contain("found").And.Contain("expected"));
        });
    }

    [TestCaseSource(nameof(Unsupported))]
    public void What_is_not_supported_is_refused_when_it_is_loaded(string instruction) =>
        Assert.That(() => Kernel(instruction), Throws.TypeOf<PtxException>().With.Property(nameof(PtxException.Line)).EqualTo(13));

    [Test]
    public void Deep_nesting_and_huge_declarations_cost_nothing()
    {
        Assert.Multiple(() =>
        {
            Assert.That(() => Kernel(new string('{', 100_000)), Throws.TypeOf<PtxException>());
            Assert.That(() => Kernel(".reg .b32 %huge<2000000000>; mov.u32 %huge1999999999, 1;"), Throws.Nothing);
            Assert.That(() => PtxModule.Parse("deep", $".version 7.0 .target sm_80 .const .b8 x[4] = {new string('{', 100_000)}", Target), Throws.TypeOf<PtxException>());
        });
    }

    [TestCase(".version 7.0\n.target sm_90", CudaModuleFault.WrongArchitecture, 2)]
    [TestCase(".version 12.0\n.target sm_80", CudaModuleFault.UnsupportedPtxVersion, 1)]
    [TestCase(".version 7\n.target sm_80", CudaModuleFault.InvalidPtx, 1)]
    [TestCase(".target sm_80", CudaModuleFault.InvalidPtx, 1)]
    [TestCase("", CudaModuleFault.InvalidPtx, 1)]
    public void A_header_that_does_not_suit_says_why(string header, CudaModuleFault fault, int line)
    {
        PtxException exception = Assert.Throws<PtxException>(() => PtxModule.Parse("header", header, Target))!;
        Assert.That((exception.Fault, exception.Line), Is.EqualTo((fault, line)));
    }

    [TestCase("sm_75", "cp.async.wait_all;")]
    [TestCase("sm_75", "redux.sync.add.s32 %r1, %r2, -1;")]
    [TestCase("sm_75", "cvt.rn.f16x2.f32 %r1, %f1, %f2;")]
    public void Instructions_of_newer_devices_are_refused(string architecture, string instruction)
    {
        string ptx = PtxDevice.Module("", instruction, target: "sm_75");
        Assert.That(() => PtxDevice.Kernel(ptx, architecture), Throws.TypeOf<PtxException>().With.Message.Contains(architecture));
        Assert.That(() => PtxDevice.Kernel(ptx, "sm_80"), Throws.Nothing);
    }

    [Test]
    public void Static_shared_memory_beyond_48_KB_is_refused()
    {
        Assert.Multiple(() =>
        {
            Assert.That(() => Kernel(".shared .b8 tile[49153]; mov.u32 %r1, tile;"), Throws.TypeOf<PtxException>().With.Message.Contains("49153"));
            Assert.That(Kernel(".shared .b8 tile[49152]; mov.u32 %r1, tile;").StaticSharedBytes, Is.EqualTo(49152));
        });
    }

    [Test]
    public void Launches_that_the_device_cannot_do_are_refused()
    {
        PtxKernel kernel = PtxDevice.Kernel(PtxDevice.Module(".param .u64 p", "ret;", ".reqntid 64"), "sm_86");
        using PtxDevice device = new();
        Assert.Multiple(() =>
        {
            Assert.That(() => device.Run(kernel, new(1), new(64), 0, 0), Throws.Nothing);
            Assert.That(() => device.Run(kernel, new(1), new(32), 0, 0), Throws.ArgumentException.With.Message.Contains("64"));
            Assert.That(() => device.Run(kernel, new(1), new(128), 0, 0), Throws.ArgumentException);
            Assert.That(() => device.Run(kernel, new(0), new(64), 0, 0), Throws.ArgumentException);
            Assert.That(() => device.Run(kernel, new(1), new(64), (99 << 10) + 1, 0), Throws.ArgumentException.With.Message.Contains("sm_86"));
            Assert.That(() => device.Run(kernel, new(1), new(64), 0), Throws.ArgumentException.With.Message.Contains("8 bytes"));
        });
    }

    private static PtxKernel Kernel(string body) => PtxDevice.Kernel(PtxDevice.Module("", body), "sm_80");

    private static string Write(PtxToken token) => token.Kind == PtxTokenKind.Text ? $"\"{token.Text}\"" : token.Text;
}
