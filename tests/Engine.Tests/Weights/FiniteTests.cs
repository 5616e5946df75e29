using KernelAD.Weights;

namespace KernelAD.Engine.Tests.Weights;

public class FiniteTests
{
    [Test]
    public void First_bad_value_is_found_wherever_it_is([Values(1, 3, 17, 63, 257)] int length, [Values(float.NaN, float.PositiveInfinity, float.NegativeInfinity)] float bad)
    {
        float[] values = new float[length];
        float[] extremes = [0f, -0f, float.MaxValue, float.MinValue, float.Epsilon, 1f];
        for (int i = 0; i < length; i++)
        {
            values[i] = extremes[i % extremes.Length];
        }

        Assert.That(Finite.FirstNonFinite(values), Is.EqualTo(-1));
        for (int i = length - 1; i >= 0; i--)
        {
            values[i] = bad;
            Assert.That(Finite.FirstNonFinite(values), Is.EqualTo(i));
        }
    }

    [Test]
    public void Nothing_holds_nothing_bad() => Assert.That(Finite.FirstNonFinite([]), Is.EqualTo(-1));
}
