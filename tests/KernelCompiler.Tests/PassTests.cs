using KernelAD.KernelCompiler.Ptx;

namespace KernelAD.KernelCompiler.Tests;

public sealed class PassTests
{
    [Test]
    public void A_slot_becomes_a_register()
    {
        string text = Promoted(
            ".local .align 4 .b8 __local_depot0[4];",
            "mov.b64 %rd3, __local_depot0;",
            "st.local.f32 [%rd3], 0f00000000;",
            "ld.global.f32 %f2, [%rd8];",
            "st.local.f32 [%rd3], %f2;",
            "ld.local.f32 %f3, [%rd3];");
        Assert.That(text, Does.Not.Contain("local").And.Not.Contain("%rd3"));
        Assert.That(text, Does.Contain(".reg .f32 %slot0;").And.Contain("mov.f32 %slot0, %f2;").And.Contain("mov.f32 %f3, %slot0;"));
    }

    [Test]
    public void A_slot_whose_address_goes_elsewhere_stays()
    {
        string[] lines =
        [
            ".local .align 4 .b8 __local_depot0[4];", "mov.b64 %rd3, __local_depot0;", "st.local.f32 [%rd3], %f2;", "add.s64 %rd4, %rd3, %rd5;", "ld.local.f32 %f3, [%rd4];",
        ];
        Assert.That(Promoted(lines), Is.EqualTo(Text(lines).Write()));
    }

    [Test]
    public void A_slot_of_two_types_stays()
    {
        string[] lines = [".local .align 4 .b8 __local_depot0[4];", "mov.b64 %rd3, __local_depot0;", "st.local.f32 [%rd3], %f2;", "ld.local.b32 %r3, [%rd3];"];
        Assert.That(Promoted(lines), Is.EqualTo(Text(lines).Write()));
    }

    [Test]
    public void A_copy_is_read_in_the_originals_place() =>
        Assert.That(Propagated("mov.f32 %f2, %f1;", "add.f32 %f3, %f2, %f2;", "st.global.f32 [%rd1], %f3;"), Is.EqualTo(Lines("add.f32 %f3, %f1, %f1;", "st.global.f32 [%rd1], %f3;")));

    [Test]
    public void A_copy_of_what_changes_afterwards_stays() =>
        Assert.That(Propagated("mov.f32 %f2, %f1;", "ld.global.f32 %f1, [%rd1];", "add.f32 %f3, %f2, %f1;", "st.global.f32 [%rd1], %f3;"), Is.EqualTo(Lines("mov.f32 %f2, %f1;", "ld.global.f32 %f1, [%rd1];", "add.f32 %f3, %f2, %f1;", "st.global.f32 [%rd1], %f3;")));

    [Test]
    public void A_copy_that_another_block_reads_stays() =>
        Assert.That(Propagated("mov.f32 %f2, %f1;", "bra L0;", "L0:", "st.global.f32 [%rd1], %f2;"), Is.EqualTo(Lines("mov.f32 %f2, %f1;", "bra L0;", "L0:", "st.global.f32 [%rd1], %f2;")));

    [Test]
    public void A_copy_that_a_loop_reads_again_stays()
    {
        string[] lines = ["mov.f32 %f2, 0f00000000;", "L0:", "add.f32 %f3, %f2, %f1;", "mov.f32 %f2, %f3;", "@%p1 bra L0;", "ret;"];
        Assert.That(Propagated(lines), Is.EqualTo(lines));
    }

    [Test]
    public void A_guarded_move_keeps_what_it_may_not_overwrite()
    {
        string[] lines = ["mov.f32 %f2, %f1;", "@%p1 mov.f32 %f2, %f4;", "st.global.f32 [%rd1], %f2;"];
        Assert.That(Propagated(lines), Is.EqualTo(lines));
    }

    [Test]
    public void What_is_read_and_written_at_once_is_not_renamed()
    {
        string[] lines = ["mov.f32 %f2, %f1;", "mma.x {%f2,%f3}, {%r1}, {%f2,%f3};", "st.global.f32 [%rd1], %f2;"];
        Assert.That(Propagated(lines), Is.EqualTo(lines));
    }

    [Test]
    public void Inline_assembly_keeps_its_registers()
    {
        string[] lines = ["mov.b32 %r2, %r1;", "{ .reg .pred p; setp.ne.u32 p, %r2, 0; @p st.global.u32 [%rd1], %r2; }"];
        Assert.That(Propagated(lines), Is.EqualTo(lines));
    }

    [Test]
    public void Names_depend_on_the_text_alone()
    {
        string Renamed(int first) => Renaming.Apply(
            Text($"L_{first}:", $"ld.param.b64 %rd1, [_a_{first}+8];", $"@%p1 bra L_{first + 7};", $"bra L_{first};", $"L_{first + 7}:", "ret;"), "kernel").Write();
        Assert.That(Renamed(1440), Is.EqualTo(Renamed(99)));
        Assert.That(Renamed(1440), Does.Contain(".visible .entry kernel(").And.Contain("[arguments+8]").And.Contain("@%p1 bra L1;"));
    }

    private static PtxText Text(params string[] lines)
    {
        string parameter = lines.Select(l => System.Text.RegularExpressions.Regex.Match(l, @"\[(_a_\d+)")).FirstOrDefault(m => m.Success)?.Groups[1].Value ?? "_a_1";
        return PtxText.Parse("kernel", $$"""
            .version 7.0
            .target sm_80
            .address_size 64
            .visible .entry Kernel_X(
            	.param .align 8 .b8 {{parameter}}[24]
            )
            .maxntid 128, 1, 1
            {
            {{string.Join('\n', lines)}}
            }
            """);
    }

    private static string[] Lines(params string[] lines) => lines;

    private static string Promoted(params string[] lines) => SlotPromotion.Apply(Text(lines)).Write();

    private static string[] Propagated(params string[] lines) => [.. CopyPropagation.Apply(Text(lines)).Body.Select(l => l.Text)];
}
