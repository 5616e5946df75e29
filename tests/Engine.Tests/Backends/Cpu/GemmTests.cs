using System.Runtime.Intrinsics;
using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

[Category("SimdTier")]
public sealed unsafe class GemmTests
{
    [Test]
    public void Tile_of_any_height_equals_the_reference_and_accumulates([Values(1, 15, 16, 17, 64, 100)] int k)
    {
        for (int rows = 1; rows <= SimdTier.TileRows; rows++)
            MultiplyAndCompare(rows, k);
    }

    private static void MultiplyAndCompare(int rows, int k)
    {
        Random random = new((100 * rows) + k);
        int columns = SimdTier.PanelColumns;
        using GuardedMatrix a = GuardedMatrix.Random(random, rows, k, rowTiles: true);
        using GuardedMatrix b = GuardedMatrix.Random(random, k, columns);
        using GuardedMatrix c = new(SimdTier.TileRows, columns);
        Multiply(rows, a, b, k, c, accumulate: false);
        AssertProduct(1);
        Multiply(rows, a, b, k, c, accumulate: true);
        AssertProduct(2);
        c.AssertNothingWrittenOutside();

        void AssertProduct(double factor)
        {
            for (int r = 0; r < rows; r++)
            {
                for (int column = 0; column < columns; column++)
                {
                    double sum = 0;
                    for (int i = 0; i < k; i++)
                        sum += (double)a[r, i] * b[i, column];
                    Assert.That(c[r, column], Is.EqualTo(factor * sum).Within(1e-6 * Math.Sqrt(k)));
                }
            }
        }
    }

    [Test]
    public void A_row_gives_the_same_bits_in_every_place_and_height()
    {
        const int K = 77;
        Random random = new(5);
        using GuardedMatrix b = GuardedMatrix.Random(random, K, SimdTier.PanelColumns);
        using GuardedMatrix row = GuardedMatrix.Random(random, 1, K);
        float[]? expected = null;
        for (int rows = 1; rows <= SimdTier.TileRows; rows++)
        {
            using GuardedMatrix a = GuardedMatrix.Random(random, rows, K, rowTiles: true);
            for (int i = 0; i < K; i++)
                a[rows - 1, i] = row[0, i];
            using GuardedMatrix c = new(SimdTier.TileRows, SimdTier.PanelColumns);
            Multiply(rows, a, b, K, c, accumulate: false);
            float[] result = [.. Enumerable.Range(0, SimdTier.PanelColumns).Select(column => c[rows - 1, column])];
            expected ??= result;
            Assert.That(result, Is.EqualTo(expected));
        }
    }

    [Test]
    public void Peak_is_a_positive_rate() => Assert.That(FmaPeak.Measure(2, milliseconds: 1), Is.Positive);

    private static void Multiply(int rows, GuardedMatrix a, GuardedMatrix b, int k, GuardedMatrix c, bool accumulate)
    {
        int stride = SimdTier.PanelColumns;
        if (Vector512.IsHardwareAccelerated)
            Gemm.MultiplyTile<Simd512, Vector512<float>, ProductStore<Simd512, Vector512<float>>>(rows, a.Pointer, b.Pointer, k, new(c.Pointer, stride, stride / 2, accumulate));
        else if (Vector256.IsHardwareAccelerated)
            Gemm.MultiplyTile<Simd256, Vector256<float>, ProductStore<Simd256, Vector256<float>>>(rows, a.Pointer, b.Pointer, k, new(c.Pointer, stride, stride / 2, accumulate));
        else
            Gemm.MultiplyTile<Simd128, Vector128<float>, ProductStore<Simd128, Vector128<float>>>(rows, a.Pointer, b.Pointer, k, new(c.Pointer, stride, stride / 2, accumulate));
    }
}
