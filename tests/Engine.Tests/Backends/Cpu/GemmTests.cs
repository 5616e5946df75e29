using System.Runtime.Intrinsics;
using KernelAD.Backends.Cpu;

namespace KernelAD.Engine.Tests.Backends.Cpu;

[Category("SimdTier")]
public sealed unsafe class GemmTests
{
    [Test]
    public void Tile_of_any_height_equals_the_reference_and_accumulates([Values(1, 14, 15, 16, 17, 22, 64, 100)] int k)
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
    public void Tiles_of_a_call_equal_single_ones([Values(true, false)] bool stepsThroughA)
    {
        const int K = 37, Count = 3;
        Random random = new(6);
        int tileRows = SimdTier.TileRows, columns = SimdTier.PanelColumns;
        using GuardedMatrix a = GuardedMatrix.Random(random, Count * tileRows, K, rowTiles: true);
        using GuardedMatrix b = GuardedMatrix.Random(random, Count * K, columns);
        using GuardedMatrix together = new(Count * tileRows, columns);
        using GuardedMatrix single = new(tileRows, columns);
        nint aStep = stepsThroughA ? (nint)RowTiles.Size(1, K) : 0, bStep = stepsThroughA ? 0 : K * columns;
        Multiply(Count, tileRows, a.Pointer, aStep, b.Pointer, bStep, K, together, accumulate: false);
        together.AssertNothingWrittenOutside();
        for (int tile = 0; tile < Count; tile++)
        {
            Multiply(1, tileRows, a.Pointer + (tile * aStep), 0, b.Pointer + (tile * bStep), 0, K, single, accumulate: false);
            for (int r = 0; r < tileRows; r++)
            {
                for (int column = 0; column < columns; column++)
                    Assert.That(together[(tile * tileRows) + r, column], Is.EqualTo(single[r, column]));
            }
        }
    }

    [Test]
    public void Peak_is_a_positive_rate() => Assert.That(FmaPeak.Measure(2, milliseconds: 1), Is.Positive);

    private static void Multiply(int rows, GuardedMatrix a, GuardedMatrix b, int k, GuardedMatrix c, bool accumulate) =>
        Multiply(1, rows, a.Pointer, 0, b.Pointer, 0, k, c, accumulate);

    private static void Multiply(int count, int rows, float* a, nint aStep, float* b, nint bStep, int k, GuardedMatrix c, bool accumulate)
    {
        if (Vector512.IsHardwareAccelerated)
            Multiply<Simd512, Vector512<float>>(count, rows, a, aStep, b, bStep, k, c, accumulate);
        else if (Vector256.IsHardwareAccelerated)
            Multiply<Simd256, Vector256<float>>(count, rows, a, aStep, b, bStep, k, c, accumulate);
        else
            Multiply<Simd128, Vector128<float>>(count, rows, a, aStep, b, bStep, k, c, accumulate);
    }

    private static void Multiply<TSimd, TVector>(int count, int rows, float* a, nint aStep, float* b, nint bStep, int k, GuardedMatrix c, bool accumulate)
        where TSimd : ISimd<TVector>
        where TVector : struct
    {
        TiledRows left = new(a, aStep, k);
        if (accumulate)
        {
            SumStore<TSimd, TVector> sum = new(c.Pointer, SimdTier.PanelColumns, TSimd.Lanes);
            Gemm.MultiplyTiles<TSimd, TVector, TiledRows, SumStore<TSimd, TVector>>(in left, 0, count, rows, b, bStep, in sum, 0, SimdTier.TileRows, (byte*)b);
            return;
        }

        ProductStore<TSimd, TVector> product = new(c.Pointer, SimdTier.PanelColumns, TSimd.Lanes);
        Gemm.MultiplyTiles<TSimd, TVector, TiledRows, ProductStore<TSimd, TVector>>(in left, 0, count, rows, b, bStep, in product, 0, SimdTier.TileRows, (byte*)b);
    }
}
