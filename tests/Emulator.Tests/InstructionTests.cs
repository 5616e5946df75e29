using System.Buffers.Binary;
using System.Numerics;

namespace KernelAD.Emulator.Tests;

/// <summary>Instructions on random and extreme values in all lanes, against plain C#.</summary>
public sealed class InstructionTests
{
    private static readonly ulong[] Extremes =
    [
        0, 1, 2, 31, 32, 33, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000, long.MaxValue, 1UL << 63, ulong.MaxValue,
        BitConverter.SingleToUInt32Bits(1f), BitConverter.SingleToUInt32Bits(-2.5f), 0x7F80_0000, 0xFF80_0000, 0x7FC0_0001, 1, 0x8000_0001, BitConverter.DoubleToUInt64Bits(1.5),
        0x7FF0_0000_0000_0000, 0x7FF8_0000_0000_0000, 0x3C00, 0x7C00,
    ];

    private static IEnumerable<TestCaseData> Words()
    {
        yield return Word("add.s32 %r20, %r10, %r11;", (a, b, c) => a + b);
        yield return Word("sub.u32 %r20, %r10, %r11;", (a, b, c) => a - b);
        yield return Word("mul.lo.s32 %r20, %r10, %r11;", (a, b, c) => a * b);
        yield return Word("mul.hi.u32 %r20, %r10, %r11;", (a, b, c) => (uint)(((ulong)a * b) >> 32));
        yield return Word("mul.hi.s32 %r20, %r10, %r11;", (a, b, c) => (uint)(((long)(int)a * (int)b) >> 32));
        yield return Word("mad.lo.u32 %r20, %r10, %r11, %r12;", (a, b, c) => (a * b) + c);
        yield return Word("mad.hi.s32 %r20, %r10, %r11, %r12;", (a, b, c) => (uint)(((long)(int)a * (int)b) >> 32) + c);
        yield return Word("mul24.lo.u32 %r20, %r10, %r11;", (a, b, c) => (a & 0xFFFFFF) * (b & 0xFFFFFF));
        yield return Word("mad24.lo.s32 %r20, %r10, %r11, %r12;", (a, b, c) => (uint)(((int)(a << 8) >> 8) * ((int)(b << 8) >> 8)) + c);
        yield return Word("add.sat.s32 %r20, %r10, %r11;", (a, b, c) => (uint)(int)Math.Clamp((long)(int)a + (int)b, int.MinValue, int.MaxValue));
        yield return Word("sub.sat.s32 %r20, %r10, %r11;", (a, b, c) => (uint)(int)Math.Clamp((long)(int)a - (int)b, int.MinValue, int.MaxValue));
        yield return Word("or.b32 %r11, %r11, 1; div.u32 %r20, %r10, %r11;", (a, b, c) => a / (b | 1));
        yield return Word("or.b32 %r11, %r11, 1; div.s32 %r20, %r10, %r11;", (a, b, c) => (int)(b | 1) == -1 ? 0 - a : (uint)((int)a / (int)(b | 1)));
        yield return Word("or.b32 %r11, %r11, 1; rem.u32 %r20, %r10, %r11;", (a, b, c) => a % (b | 1));
        yield return Word("or.b32 %r11, %r11, 1; rem.s32 %r20, %r10, %r11;", (a, b, c) => (int)(b | 1) == -1 ? 0 : (uint)((int)a % (int)(b | 1)));
        yield return Word("min.u32 %r20, %r10, %r11;", (a, b, c) => Math.Min(a, b));
        yield return Word("max.u32 %r20, %r10, %r11;", (a, b, c) => Math.Max(a, b));
        yield return Word("min.s32 %r20, %r10, %r11;", (a, b, c) => (uint)Math.Min((int)a, (int)b));
        yield return Word("max.s32 %r20, %r10, %r11;", (a, b, c) => (uint)Math.Max((int)a, (int)b));
        yield return Word("neg.s32 %r20, %r10;", (a, b, c) => 0 - a);
        yield return Word("abs.s32 %r20, %r10;", (a, b, c) => (int)a < 0 ? 0 - a : a);
        yield return Word("and.b32 %r20, %r10, %r11;", (a, b, c) => a & b);
        yield return Word("or.b32 %r20, %r10, %r11;", (a, b, c) => a | b);
        yield return Word("xor.b32 %r20, %r10, %r11;", (a, b, c) => a ^ b);
        yield return Word("not.b32 %r20, %r10;", (a, b, c) => ~a);
        yield return Word("cnot.b32 %r20, %r10;", (a, b, c) => a == 0 ? 1u : 0);
        yield return Word("lop3.b32 %r20, %r10, %r11, %r12, 0x6A;", (a, b, c) => (a & b) ^ c);
        yield return Word("lop3.b32 %r20, %r10, %r11, %r12, 0xE8;", (a, b, c) => (a & b) | (a & c) | (b & c));
        yield return Word("shl.b32 %r20, %r10, %r11;", (a, b, c) => b > 31 ? 0 : a << (int)b);
        yield return Word("shl.b32 %r20, %r10, 5;", (a, b, c) => a << 5);
        yield return Word("shl.b32 %r20, %r10, 32;", (a, b, c) => 0);
        yield return Word("shr.u32 %r20, %r10, %r11;", (a, b, c) => b > 31 ? 0 : a >> (int)b);
        yield return Word("shr.u32 %r20, %r10, 7;", (a, b, c) => a >> 7);
        yield return Word("shr.s32 %r20, %r10, %r11;", (a, b, c) => (uint)((int)a >> (int)Math.Min(b, 31)));
        yield return Word("shr.s32 %r20, %r10, 9;", (a, b, c) => (uint)((int)a >> 9));
        yield return Word("shf.l.wrap.b32 %r20, %r10, %r11, %r12;", (a, b, c) => (c & 31) == 0 ? b : (b << (int)(c & 31)) | (a >> (int)(32 - (c & 31))));
        yield return Word("shf.l.clamp.b32 %r20, %r10, %r11, %r12;", (a, b, c) => c >= 32 ? a : c == 0 ? b : (b << (int)c) | (a >> (int)(32 - c)));
        yield return Word("shf.r.wrap.b32 %r20, %r10, %r11, %r12;", (a, b, c) => (c & 31) == 0 ? a : (a >> (int)(c & 31)) | (b << (int)(32 - (c & 31))));
        yield return Word("shf.r.clamp.b32 %r20, %r10, %r11, %r12;", (a, b, c) => c >= 32 ? b : c == 0 ? a : (a >> (int)c) | (b << (int)(32 - c)));
        yield return Word("popc.b32 %r20, %r10;", (a, b, c) => (uint)BitOperations.PopCount(a));
        yield return Word("clz.b32 %r20, %r10;", (a, b, c) => (uint)BitOperations.LeadingZeroCount(a));
        yield return Word("brev.b32 %r20, %r10;", (a, b, c) => ReverseBits(a));
        yield return Word("bfind.u32 %r20, %r10;", (a, b, c) => a == 0 ? uint.MaxValue : (uint)BitOperations.Log2(a));
        yield return Word("bfind.s32 %r20, %r10;", (a, b, c) => a is 0 or uint.MaxValue ? uint.MaxValue : (uint)BitOperations.Log2((int)a < 0 ? ~a : a));
        yield return Word("bfind.shiftamt.u32 %r20, %r10;", (a, b, c) => a == 0 ? uint.MaxValue : 31 - (uint)BitOperations.Log2(a));
        yield return Word("and.b32 %r11, %r11, 63; and.b32 %r12, %r12, 63; bfe.u32 %r20, %r10, %r11, %r12;", (a, b, c) => ExtractBits(a, b & 63, c & 63, false));
        yield return Word("and.b32 %r11, %r11, 63; and.b32 %r12, %r12, 63; bfe.s32 %r20, %r10, %r11, %r12;", (a, b, c) => ExtractBits(a, b & 63, c & 63, true));
        yield return Word("bfi.b32 %r20, %r10, %r11, 5, 9;", (a, b, c) => (b & ~(0x1FFu << 5)) | ((a & 0x1FF) << 5));
        yield return Word("bfi.b32 %r20, %r10, %r11, 20, 30;", (a, b, c) => (b & 0xFFFFF) | (a << 20));
        yield return Word("prmt.b32 %r20, %r10, %r11, 0x4170;", (a, b, c) => (a & 0xFF) | ((b >> 24) << 8) | ((a & 0xFF00) << 8) | ((b & 0xFF) << 24));
        yield return Word("prmt.b32 %r20, %r10, %r11, 0xBBBB;", (a, b, c) => (int)a < 0 ? uint.MaxValue : 0);
        yield return Word("sad.u32 %r20, %r10, %r11, %r12;", (a, b, c) => c + (a > b ? a - b : b - a));
        yield return Word("sad.s32 %r20, %r10, %r11, %r12;", (a, b, c) => c + (uint)Math.Abs((long)(int)a - (int)b));
        yield return Word("dp4a.s32.s32 %r20, %r10, %r11, %r12;", (a, b, c) => Dot(a, b, c));
        yield return Word("selp.b32 %r20, %r10, %r11, %p10;", (a, b, c) => (c & 1) != 0 ? a : b);
        yield return Word("slct.u32.s32 %r20, %r10, %r11, %r12;", (a, b, c) => (int)c >= 0 ? a : b);
        yield return Word("mov.b32 {%h1, %h2}, %r10; mov.b32 %r20, {%h2, %h1};", (a, b, c) => BitOperations.RotateLeft(a, 16));
        yield return Word("@%p10 mov.u32 %r11, %r10; mov.u32 %r20, %r11;", (a, b, c) => (c & 1) != 0 ? a : b);
        yield return Word("@!%p10 add.u32 %r11, %r10, 7; mov.u32 %r20, %r11;", (a, b, c) => (c & 1) == 0 ? a + 7 : b);
        yield return Word("set.lt.u32.s32 %r20, %r10, %r11;", (a, b, c) => (int)a < (int)b ? uint.MaxValue : 0);
        yield return Word("set.gt.f32.u32 %f20, %r10, %r11; mov.b32 %r20, %f20;", (a, b, c) => a > b ? 0x3F80_0000u : 0);
        yield return Word("add.cc.u32 %r1, %r10, %r11; addc.u32 %r20, %r12, 0;", (a, b, c) => c + (uint)(((ulong)a + b) >> 32));
        yield return Word("sub.cc.u32 %r1, %r10, %r11; subc.u32 %r20, %r12, 0;", (a, b, c) => c - (a < b ? 1u : 0));
        yield return Word("add.cc.u32 %r10, %r10, %r11; addc.cc.u32 %r1, %r12, %r12; addc.u32 %r20, 0, 0;", (a, b, c) => (uint)((((((ulong)a + b) >> 32) + c + c) >> 32) & 1));
        yield return Word("mul.wide.u16 %r20, %h10, %h11;", (a, b, c) => (a & 0xFFFF) * (b & 0xFFFF));
        yield return Word("mul.wide.s16 %r20, %h10, %h11;", (a, b, c) => (uint)((short)a * (short)b));
        yield return Word("mad.wide.s16 %r20, %h10, %h11, %r12;", (a, b, c) => (uint)((short)a * (short)b) + c);
        yield return Word("copysign.f32 %f20, %f10, %f11; mov.b32 %r20, %f20;", (a, b, c) => (a & 0x8000_0000) | (b & 0x7FFF_FFFF));
        yield return Word("neg.f32 %f20, %f10; mov.b32 %r20, %f20;", (a, b, c) => a ^ 0x8000_0000);
        yield return Word("abs.f32 %f20, %f10; mov.b32 %r20, %f20;", (a, b, c) => a & 0x7FFF_FFFF);
        yield return Word("cvt.u32.u16 %r20, %h10;", (a, b, c) => a & 0xFFFF);
        yield return Word("cvt.s32.s16 %r20, %h10;", (a, b, c) => (uint)(short)a);
        yield return Word("cvt.u32.u8 %r20, %r10;", (a, b, c) => a & 0xFF);
        yield return Word("cvt.s32.s8 %r20, %r10;", (a, b, c) => (uint)(sbyte)a);
        yield return Word("{ .reg .pred q; setp.hi.u32 q, %r10, %r11; selp.u32 %r20, 1, 0, q; }", (a, b, c) => a > b ? 1u : 0);
        yield return Word("setp.lt.and.s32 %p1|%p2, %r10, %r11, %p10; selp.u32 %r1, 1, 0, %p1; selp.u32 %r2, 2, 0, %p2; or.b32 %r20, %r1, %r2;",
            (a, b, c) => ((int)a < (int)b && (c & 1) != 0 ? 1u : 0) | ((int)a >= (int)b && (c & 1) != 0 ? 2u : 0));
        yield return Word("setp.eq.xor.u32 %p1, %r10, %r11, !%p10; selp.u32 %r20, 1, 0, %p1;", (a, b, c) => (a == b) ^ ((c & 1) == 0) ? 1u : 0);
        yield return Word("and.pred %p1, %p10, %p11; or.pred %p2, %p10, %p11; xor.pred %p3, %p1, %p2; not.pred %p4, %p3; selp.u32 %r20, 1, 0, %p4;",
            (a, b, c) => ((b ^ c) & 1) == 0 ? 1u : 0);
        yield return Word("fns.b32 %r20, %r10, 3, 2;", (a, b, c) => FindNth(a, 3, 2));
    }

    private static IEnumerable<TestCaseData> DoubleWords()
    {
        yield return Long("add.s64 %rd20, %rd10, %rd11;", (a, b, c) => a + b);
        yield return Long("sub.s64 %rd20, %rd10, %rd11;", (a, b, c) => a - b);
        yield return Long("mul.lo.u64 %rd20, %rd10, %rd11;", (a, b, c) => a * b);
        yield return Long("mul.hi.u64 %rd20, %rd10, %rd11;", (a, b, c) => (ulong)(((UInt128)a * b) >> 64));
        yield return Long("mul.hi.s64 %rd20, %rd10, %rd11;", (a, b, c) => (ulong)(((Int128)(long)a * (long)b) >> 64));
        yield return Long("mad.lo.s64 %rd20, %rd10, %rd11, %rd12;", (a, b, c) => (a * b) + c);
        yield return Long("mul.wide.u32 %rd20, %r10, %r11;", (a, b, c) => (ulong)(uint)a * (uint)b);
        yield return Long("mul.wide.s32 %rd20, %r10, %r11;", (a, b, c) => (ulong)((long)(int)a * (int)b));
        yield return Long("mad.wide.s32 %rd20, %r10, %r11, %rd12;", (a, b, c) => (ulong)((long)(int)a * (int)b) + c);
        yield return Long("mad.wide.u32 %rd20, %r10, %r11, %rd12;", (a, b, c) => ((ulong)(uint)a * (uint)b) + c);
        yield return Long("or.b64 %rd11, %rd11, 1; div.u64 %rd20, %rd10, %rd11;", (a, b, c) => a / (b | 1));
        yield return Long("or.b64 %rd11, %rd11, 1; rem.s64 %rd20, %rd10, %rd11;", (a, b, c) => (long)(b | 1) == -1 ? 0 : (ulong)((long)a % (long)(b | 1)));
        yield return Long("min.s64 %rd20, %rd10, %rd11;", (a, b, c) => (ulong)Math.Min((long)a, (long)b));
        yield return Long("max.u64 %rd20, %rd10, %rd11;", (a, b, c) => Math.Max(a, b));
        yield return Long("neg.s64 %rd20, %rd10;", (a, b, c) => 0 - a);
        yield return Long("not.b64 %rd20, %rd10;", (a, b, c) => ~a);
        yield return Long("and.b64 %rd20, %rd10, %rd11;", (a, b, c) => a & b);
        yield return Long("xor.b64 %rd20, %rd10, 0xFFFF0000FFFF0000;", (a, b, c) => a ^ 0xFFFF_0000_FFFF_0000);
        yield return Long("shl.b64 %rd20, %rd10, 3;", (a, b, c) => a << 3);
        yield return Long("shl.b64 %rd20, %rd10, %r11;", (a, b, c) => (uint)b > 63 ? 0 : a << (int)b);
        yield return Long("shr.u64 %rd20, %rd10, %r11;", (a, b, c) => (uint)b > 63 ? 0 : a >> (int)b);
        yield return Long("shr.s64 %rd20, %rd10, %r11;", (a, b, c) => (ulong)((long)a >> (int)Math.Min((uint)b, 63)));
        yield return Long("cvt.u64.u32 %rd20, %r10;", (a, b, c) => (uint)a);
        yield return Long("cvt.s64.s32 %rd20, %r10;", (a, b, c) => (ulong)(int)a);
        yield return Long("mov.b64 {%r1, %r2}, %rd10; mov.b64 %rd20, {%r2, %r1};", (a, b, c) => BitOperations.RotateLeft(a, 32));
        yield return Long("mov.b64 {%h1, %h2, %h3, %h4}, %rd10; mov.b64 %rd20, {%h4, %h3, %h2, %h1};", (a, b, c) => ReverseHalves(a));
        yield return Long("selp.b64 %rd20, %rd10, %rd11, %p10;", (a, b, c) => (c & 1) != 0 ? a : b);
        yield return Long("setp.gt.s64 %p1, %rd10, %rd11; selp.u64 %rd20, 1, 0, %p1;", (a, b, c) => (long)a > (long)b ? 1UL : 0);
        yield return Long("setp.ls.u64 %p1, %rd10, %rd11; selp.u64 %rd20, 1, 0, %p1;", (a, b, c) => a <= b ? 1UL : 0);
        yield return Long("popc.b64 %r20, %rd10; cvt.u64.u32 %rd20, %r20;", (a, b, c) => (ulong)BitOperations.PopCount(a));
        yield return Long("clz.b64 %r20, %rd10; cvt.u64.u32 %rd20, %r20;", (a, b, c) => (ulong)BitOperations.LeadingZeroCount(a));
        yield return Long("brev.b64 %rd20, %rd10;", (a, b, c) => ((ulong)ReverseBits((uint)a) << 32) | ReverseBits((uint)(a >> 32)));
        yield return Long("add.f64 %d20, %d10, %d11; mov.b64 %rd20, %d20;", (a, b, c) => Bits(Double(a) + Double(b)));
        yield return Long("fma.rn.f64 %d20, %d10, %d11, %d12; mov.b64 %rd20, %d20;", (a, b, c) => Bits(Math.FusedMultiplyAdd(Double(a), Double(b), Double(c))));
        yield return Long("add.cc.u64 %rd1, %rd10, %rd11; addc.u64 %rd20, %rd12, 0;", (a, b, c) => c + (a + b < a ? 1UL : 0));
        yield return Long("sub.s16 %h20, %h10, %h11; cvt.s64.s16 %rd20, %h20;", (a, b, c) => (ulong)(short)(a - b));
        yield return Long("min.s16 %h20, %h10, %h11; cvt.s64.s16 %rd20, %h20;", (a, b, c) => (ulong)Math.Min((short)a, (short)b));
        yield return Long("shr.u16 %h20, %h10, 4; cvt.u64.u16 %rd20, %h20;", (a, b, c) => (ulong)((ushort)a >> 4));
        yield return Long("mul.hi.u16 %h20, %h10, %h11; cvt.u64.u16 %rd20, %h20;", (a, b, c) => (ulong)(((uint)(ushort)a * (ushort)b) >> 16));
        yield return Long("setp.lt.s16 %p1, %h10, %h11; selp.u64 %rd20, 1, 0, %p1;", (a, b, c) => (short)a < (short)b ? 1UL : 0);
    }

    private static IEnumerable<TestCaseData> Floats()
    {
        yield return Float("add.f32 %f20, %f10, %f11;", (a, b, c) => a + b);
        yield return Float("sub.rn.f32 %f20, %f10, %f11;", (a, b, c) => a - b);
        yield return Float("mul.f32 %f20, %f10, %f11;", (a, b, c) => a * b);
        yield return Float("fma.rn.f32 %f20, %f10, %f11, %f12;", (a, b, c) => MathF.FusedMultiplyAdd(a, b, c));
        yield return Float("add.ftz.f32 %f20, %f10, %f11;", (a, b, c) => Flush(Flush(a) + Flush(b)));
        yield return Float("fma.rn.ftz.f32 %f20, %f10, %f11, %f12;", (a, b, c) => Flush(MathF.FusedMultiplyAdd(Flush(a), Flush(b), Flush(c))));
        yield return Float("add.sat.f32 %f20, %f10, %f11;", (a, b, c) => float.IsNaN(a + b) ? 0 : Math.Clamp(a + b, 0, 1));
        yield return Float("div.rn.f32 %f20, %f10, %f11;", (a, b, c) => a / b);
        yield return Float("sqrt.rn.f32 %f20, %f10;", (a, b, c) => MathF.Sqrt(a));
        yield return Float("rcp.rn.f32 %f20, %f10;", (a, b, c) => 1 / a);
        yield return Float("min.f32 %f20, %f10, %f11;", (a, b, c) => float.MinNumber(a, b));
        yield return Float("max.f32 %f20, %f10, %f11;", (a, b, c) => float.MaxNumber(a, b));
        yield return Float("max.NaN.f32 %f20, %f10, %f11;", (a, b, c) => float.Max(a, b));
        yield return Float("cvt.rn.f32.s32 %f20, %r10;", (a, b, c) => BitConverter.SingleToInt32Bits(a));
        yield return Float("cvt.rzi.f32.f32 %f20, %f10;", (a, b, c) => MathF.Truncate(a));
    }

    private static IEnumerable<TestCaseData> Comparisons()
    {
        (string Name, Func<float, float, bool> Holds)[] comparisons =
        [
            ("eq", (a, b) => a == b), ("ne", (a, b) => a < b || a > b), ("lt", (a, b) => a < b), ("le", (a, b) => a <= b), ("gt", (a, b) => a > b), ("ge", (a, b) => a >= b),
            ("equ", (a, b) => !(a < b || a > b)), ("neu", (a, b) => a != b), ("ltu", (a, b) => !(a >= b)), ("leu", (a, b) => !(a > b)), ("gtu", (a, b) => !(a <= b)),
            ("geu", (a, b) => !(a < b)), ("num", (a, b) => !float.IsNaN(a) && !float.IsNaN(b)), ("nan", (a, b) => float.IsNaN(a) || float.IsNaN(b)),
        ];
        foreach ((string name, Func<float, float, bool> holds) in comparisons)
        {
            yield return Word($"setp.{name}.f32 %p1, %f10, %f11; selp.u32 %r20, 1, 0, %p1;", (a, b, c) => holds(Single(a), Single(b)) ? 1u : 0);
        }

        yield return Word("testp.finite.f32 %p1, %f10; selp.u32 %r20, 1, 0, %p1;", (a, b, c) => float.IsFinite(Single(a)) ? 1u : 0);
        yield return Word("testp.infinite.f32 %p1, %f10; selp.u32 %r20, 1, 0, %p1;", (a, b, c) => float.IsInfinity(Single(a)) ? 1u : 0);
        yield return Word("testp.notanumber.f32 %p1, %f10; selp.u32 %r20, 1, 0, %p1;", (a, b, c) => float.IsNaN(Single(a)) ? 1u : 0);
        yield return Word("testp.subnormal.f32 %p1, %f10; selp.u32 %r20, 1, 0, %p1;", (a, b, c) => float.IsSubnormal(Single(a)) ? 1u : 0);
    }

    [TestCaseSource(nameof(Words))]
    [TestCaseSource(nameof(DoubleWords))]
    [TestCaseSource(nameof(Comparisons))]
    public void Integers_are_those_of_the_reference(string instructions, Func<ulong, ulong, ulong, ulong> reference, bool isLong)
    {
        (ulong[] a, ulong[] b, ulong[] c) = Values(instructions.Length);
        ulong[] results = Run(instructions, isLong ? "" : "cvt.u64.u32 %rd20, %r20;", a, b, c);

        ulong[] expected = [.. a.Select((_, i) => reference(a[i], b[i], c[i]))];
        Assert.That(results, Is.EqualTo(expected));
    }

    [TestCaseSource(nameof(Floats))]
    public void Floats_are_those_of_the_reference(string instructions, Func<float, float, float, float> reference)
    {
        (ulong[] a, ulong[] b, ulong[] c) = Values(instructions.Length);
        ulong[] results = Run(instructions, "mov.b32 %r20, %f20; cvt.u64.u32 %rd20, %r20;", a, b, c);

        for (int i = 0; i < results.Length; i++)
        {
            float expected = reference(Single((uint)a[i]), Single((uint)b[i]), Single((uint)c[i]));
            uint bits = BitConverter.SingleToUInt32Bits(expected);
            Assert.That((uint)results[i] == bits || (float.IsNaN(expected) && float.IsNaN(Single((uint)results[i]))), Is.True,
                $"{instructions} of {a[i]:x}, {b[i]:x}, {c[i]:x}: {results[i]:x}, expected {bits:x}");
        }
    }

    [Test]
    public void Registers_of_a_warp_hold_immediates_and_special_registers()
    {
        const string Body = """
            ld.param.u64 %rd1, [out];
            mov.u32 %r1, %tid.x;
            mov.u32 %r2, %tid.y;
            mov.u32 %r3, %ntid.x;
            mad.lo.u32 %r4, %r2, %r3, %r1;
            mov.u32 %r5, %ctaid.y;
            mov.u32 %r6, %nctaid.x;
            mov.u32 %r7, %ctaid.x;
            mad.lo.u32 %r8, %r5, %r6, %r7;
            mul.lo.u32 %r9, %r8, 48;
            add.u32 %r9, %r9, %r4;
            mov.u32 %r10, %laneid;
            mov.u32 %r11, %lanemask_lt;
            mov.f32 %f1, 0fC0490FDB;
            mov.b32 %r12, %f1;
            mul.wide.u32 %rd2, %r9, 16;
            add.s64 %rd3, %rd1, %rd2;
            st.global.v4.u32 [%rd3], {%r8, %r10, %r11, %r12};
            """;
        using PtxDevice device = new();
        ulong output = device.Allocate<uint>(4 * 48 * 6);
        device.Run(PtxDevice.Kernel(PtxDevice.Module(".param .u64 out", Body)), new(3, 2), new(16, 3), 0, output);

        uint[] values = device.Download<uint>(output, 4 * 48 * 6);
        for (int i = 0; i < 48 * 6; i++)
        {
            int lane = i % 48 % 32;
            Assert.That(values[(4 * i)..((4 * i) + 4)], Is.EqualTo(new[] { (uint)(i / 48), (uint)lane, (1u << lane) - 1, BitConverter.SingleToUInt32Bits(-MathF.PI) }));
        }
    }

    private static TestCaseData Word(string instructions, Func<uint, uint, uint, uint> reference) =>
        new TestCaseData(instructions, (ulong a, ulong b, ulong c) => (ulong)reference((uint)a, (uint)b, (uint)c), false).SetArgDisplayNames(instructions);

    private static TestCaseData Long(string instructions, Func<ulong, ulong, ulong, ulong> reference) =>
        new TestCaseData(instructions, reference, true).SetArgDisplayNames(instructions);

    private static TestCaseData Float(string instructions, Func<float, float, float, float> reference) =>
        new TestCaseData(instructions, reference).SetArgDisplayNames(instructions);

    /// <summary>
    /// Three words are in %rd10–12, their low parts in %r, %h and %f, the doubles in %d, and the lowest bits of the third and second in %p10 and %p11.
    /// </summary>
    private static ulong[] Run(string instructions, string finish, ulong[] a, ulong[] b, ulong[] c)
    {
        string body = $$"""
            ld.param.u64 %rd1, [a];
            ld.param.u64 %rd2, [b];
            ld.param.u64 %rd3, [c];
            ld.param.u64 %rd4, [out];
            mov.u32 %r1, %tid.x;
            mul.wide.u32 %rd5, %r1, 8;
            add.s64 %rd1, %rd1, %rd5;
            add.s64 %rd2, %rd2, %rd5;
            add.s64 %rd3, %rd3, %rd5;
            add.s64 %rd4, %rd4, %rd5;
            ld.global.u64 %rd10, [%rd1];
            ld.global.u64 %rd11, [%rd2];
            ld.global.u64 %rd12, [%rd3];
            cvt.u32.u64 %r10, %rd10;
            cvt.u32.u64 %r11, %rd11;
            cvt.u32.u64 %r12, %rd12;
            cvt.u16.u64 %h10, %rd10;
            cvt.u16.u64 %h11, %rd11;
            cvt.u16.u64 %h12, %rd12;
            mov.b32 %f10, %r10;
            mov.b32 %f11, %r11;
            mov.b32 %f12, %r12;
            mov.b64 %d10, %rd10;
            mov.b64 %d11, %rd11;
            mov.b64 %d12, %rd12;
            and.b32 %r2, %r12, 1;
            setp.ne.u32 %p10, %r2, 0;
            and.b32 %r2, %r11, 1;
            setp.ne.u32 %p11, %r2, 0;
            {{instructions}}
            {{finish}}
            st.global.u64 [%rd4], %rd20;
            ret;
            """;
        using PtxDevice device = new();
        ulong output = device.Allocate<ulong>(a.Length);
        PtxKernel kernel = PtxDevice.Kernel(PtxDevice.Module(".param .u64 a, .param .u64 b, .param .u64 c, .param .u64 out", body).Replace("%d<20>", "%d<40>", StringComparison.Ordinal));
        device.Run(kernel, new(1), new(a.Length), 0, device.Upload(a), device.Upload(b), device.Upload(c), output);
        return device.Download<ulong>(output, a.Length);
    }

    private static (ulong[] A, ulong[] B, ulong[] C) Values(int seed)
    {
        const int Count = 173; // The last of six warps is not full.
        Random random = new(seed);
        ulong Next()
        {
            byte[] bytes = new byte[8];
            random.NextBytes(bytes);
            return random.Next(3) switch
            {
                0 => Extremes[random.Next(Extremes.Length)],
                1 => BitConverter.SingleToUInt32Bits((float)((random.NextDouble() - 0.5) * 100)),
                _ => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
            };
        }

        return ([.. Enumerable.Range(0, Count).Select(_ => Next())], [.. Enumerable.Range(0, Count).Select(_ => Next())], [.. Enumerable.Range(0, Count).Select(_ => Next())]);
    }

    private static float Single(uint bits) => BitConverter.UInt32BitsToSingle(bits);

    private static double Double(ulong bits) => BitConverter.UInt64BitsToDouble(bits);

    private static ulong Bits(double value) => BitConverter.DoubleToUInt64Bits(value);

    private static float Flush(float value) => float.IsSubnormal(value) ? MathF.CopySign(0, value) : value;

    private static uint ReverseBits(uint value)
    {
        uint result = 0;
        for (int i = 0; i < 32; i++)
        {
            result |= ((value >> i) & 1) << (31 - i);
        }

        return result;
    }

    private static ulong ReverseHalves(ulong value) => (value << 48) | ((value & 0xFFFF_0000) << 16) | ((value >> 16) & 0xFFFF_0000) | (value >> 48);

    /// <summary>Bit by bit, as PTX ISA writes it down.</summary>
    private static uint ExtractBits(uint value, uint start, uint length, bool isSigned)
    {
        uint sign = !isSigned || length == 0 ? 0 : (value >> (int)Math.Min(start + length - 1, 31)) & 1;
        uint result = 0;
        for (int i = 0; i < 32; i++)
        {
            uint bit = i < length && start + i <= 31 ? (value >> (int)(start + i)) & 1 : sign;
            result |= bit << i;
        }

        return result;
    }

    private static uint Dot(uint a, uint b, uint c)
    {
        int sum = (int)c;
        for (int i = 0; i < 4; i++)
        {
            sum += (sbyte)(a >> (8 * i)) * (sbyte)(b >> (8 * i));
        }

        return (uint)sum;
    }

    private static uint FindNth(uint mask, int start, int count)
    {
        int[] set = [.. Enumerable.Range(start, 32 - start).Where(i => (mask >> i & 1) != 0)];
        return set.Length >= count ? (uint)set[count - 1] : uint.MaxValue;
    }
}
