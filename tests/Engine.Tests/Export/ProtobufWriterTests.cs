using KernelAD.Export;

namespace KernelAD.Engine.Tests.Export;

public sealed class ProtobufWriterTests
{
    [TestCase(0, "08 00")]
    [TestCase(127, "08 7F")]
    [TestCase(150, "08 96 01")]
    [TestCase(int.MaxValue, "08 FF FF FF FF 07")]
    [TestCase(-1, "08 FF FF FF FF FF FF FF FF FF 01")]
    public void Integers_are_varints(long value, string expected) => Check(m => m.Integer(1, value), expected);

    [Test]
    public void Field_numbers_above_15_take_two_bytes() => Check(m => m.Integer(20, 1), "A0 01 01");

    [Test]
    public void Floats_are_little_endian() => Check(m => m.Float(2, 1.5f), "15 00 00 C0 3F");

    [Test]
    public void Text_is_utf_8_with_its_length_in_bytes() => Check(m => m.Text(3, "aé"), "1A 03 61 C3 A9");

    [Test]
    public void Messages_nest() => Check(m => m.Message(3, inner => inner.Integer(1, 150)), "1A 03 08 96 01");

    [Test]
    public void A_length_may_exceed_what_memory_holds() => Check(m => m.Length(7, 1L << 31), "3A 80 80 80 80 08");

    private static void Check(Action<ProtobufWriter> write, string expected)
    {
        ProtobufWriter message = new();
        write(message);
        Assert.That(Convert.ToHexString(message.Written), Is.EqualTo(expected.Replace(" ", "", StringComparison.Ordinal)));
    }
}
