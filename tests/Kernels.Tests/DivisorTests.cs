namespace KernelAD.Kernels.Tests;

/// <summary>Division by multiplication, in the kernels' words: (n · m) >> s in 64 bits.</summary>
internal sealed class DivisorTests
{
    private static readonly int[] Divisors =
        [1, 2, 3, 5, 7, 48, 49, 64, 257, 12544, 65535, 65536, 65537, (1 << 30) - 1, 1 << 30, (1 << 30) + 1, int.MaxValue - 1, int.MaxValue];

    [TestCaseSource(nameof(Divisors))]
    public void The_quotient_is_exact_where_it_changes(int value)
    {
        Divisor divisor = Divisor.Of(value);
        Random random = new(value);
        for (int i = 0; i < 20_000; i++)
        {
            // Multiples and their neighbours: where a quotient that is too large or too small would show.
            long multiple = random.NextInt64((int.MaxValue / value) + 1L) * value;
            foreach (long n in (long[])[0, multiple - 1, multiple, multiple + 1, random.Next(), int.MaxValue])
            {
                if (n is >= 0 and <= int.MaxValue && (long)(((ulong)n * divisor.Multiplier) >> divisor.Shift) != n / value)
                {
                    Assert.Fail($"{n} / {value}");
                }
            }
        }
    }
}
