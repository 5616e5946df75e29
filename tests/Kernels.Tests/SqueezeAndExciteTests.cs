using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>Squeeze-and-excite in its two launches against float64.</summary>
[TestFixture("sm_75")]
[TestFixture("sm_80")]
internal sealed class SqueezeAndExciteTests(string architecture)
{
    // maps, pixels, channels, squeezed values, parts
    [TestCase(1, 1, 1, 1, 1)]
    [TestCase(2, 35, 17, 5, 1)]
    [TestCase(1, 200, 48, 12, 3)]
    [TestCase(3, 129, 34, 7, 2)]
    [TestCase(1, 513, 40, 10, 5)]
    [TestCase(1, 49, 160, 68, 1)]
    [TestCase(1, 70, 8, 512, 2)]
    [TestCase(1, 65, 36, 300, 2)]
    public void Channels_are_weighed_by_what_their_means_say(int maps, int pixels, int channels, int squeezed, int parts)
    {
        float[] w1 = Weights(squeezed * channels, 2, channels), b1 = Weights(squeezed, 3, 1), w2 = Weights(channels * squeezed, 4, squeezed), b2 = Weights(channels, 5, 1);
        int tiles = DeviceBench.Blocks(channels, SqueezeExciteArguments.Columns), padded = tiles * SqueezeExciteArguments.Columns;
        int partPixels = DeviceBench.Blocks(pixels, parts), mapBlocks = parts * tiles;
        foreach ((StorageType from, StorageType to) in ((StorageType, StorageType)[])
            [(StorageType.Float, StorageType.Float), (StorageType.Half, StorageType.Half), (StorageType.Float, StorageType.Tf32)])
        {
            float[] x = TestData.Values(maps * pixels * channels, seed: 1, from);
            using DeviceBench bench = new(architecture);
            DeviceArray y = bench.Poisoned(x.Length, to);
            SqueezeExciteArguments a = new()
            {
                X = bench.Place(x, from).Address,
                Y = y.Address,
                SqueezeWeight = bench.Place(Rows(w1, channels, padded)).Address,
                SqueezeBias = bench.Place(b1).Address,
                ExciteWeight = bench.Place(Rows(Transposed(w2, squeezed), channels, padded)).Address,
                ExciteBias = bench.Place(Rows(b2, channels, padded)).Address,
                Sums = bench.Poisoned(maps * mapBlocks * squeezed).Address,
                ColumnTiles = Divisor.Of(tiles),
                MapBlocks = Divisor.Of(mapBlocks),
                Squeezed = Divisor.Of(squeezed),
                SumSlices = Divisor.Of(Math.Min(SqueezeExciteArguments.Threads / squeezed, 32)),
                Pixels = pixels,
                PartPixels = partPixels,
                Channels = channels,
                PaddedChannels = padded,
                Scale = 1f / pixels,
                Vectors = channels % 4 == 0 ? 1 : 0,
                XType = from,
                Type = to,
            };
            bench.Run("squeeze", new LaunchSize(maps * mapBlocks), a);
            bench.Run("excite", new LaunchSize(maps * mapBlocks), a);
            float[] found = bench.Read(y);
            for (int map = 0; map < maps; map++)
            {
                (double[] gates, double[] errors) = Gates(x.AsSpan(map * pixels * channels, pixels * channels), w1, b1, w2, b2);
                for (int i = 0; i < pixels * channels; i++)
                {
                    int at = (map * pixels * channels) + i;
                    double expected = x[at] * gates[i % channels], bound = (Math.Abs(x[at]) * errors[i % channels]) + (Math.Abs(expected) * Rounding.Unit(to)) + 1e-7;
                    Assert.That(found[at], Is.EqualTo(expected).Within(bound), $"{from} to {to}, map {map}, pixel {i / channels}, channel {i % channels}");
                }
            }
        }
    }

    /// <summary>The channels' factors in float64, and how far sums in float32 and the functions may take them from there: the slope of swish is below 1.1, that of the sigmoid ¼.</summary>
    private static (double[] Gates, double[] Errors) Gates(ReadOnlySpan<float> x, float[] w1, float[] b1, float[] w2, float[] b2)
    {
        const double Roundings = 2e-6, FunctionError = 1e-6;
        int channels = b2.Length, squeezed = b1.Length;
        double[] means = new double[channels], sizes = new double[channels];
        for (int i = 0; i < x.Length; i++)
        {
            means[i % channels] += (double)x[i] * channels / x.Length;
            sizes[i % channels] += Math.Abs((double)x[i]) * channels / x.Length;
        }

        double[] values = new double[squeezed], valueErrors = new double[squeezed], gates = new double[channels], errors = new double[channels];
        for (int s = 0; s < squeezed; s++)
        {
            double sum = b1[s], size = Math.Abs(sum);
            for (int c = 0; c < channels; c++)
            {
                sum += w1[(s * channels) + c] * means[c];
                size += Math.Abs(w1[(s * channels) + c]) * sizes[c];
            }

            values[s] = LinearReference.Apply(EpilogueFunction.Swish, sum);
            valueErrors[s] = (1.1 * Roundings * size) + (FunctionError * Math.Abs(values[s]));
        }

        for (int c = 0; c < channels; c++)
        {
            double sum = b2[c], error = Roundings * Math.Abs(sum);
            for (int s = 0; s < squeezed; s++)
            {
                sum += w2[(c * squeezed) + s] * values[s];
                error += Math.Abs(w2[(c * squeezed) + s]) * (valueErrors[s] + (Roundings * Math.Abs(values[s])));
            }

            gates[c] = LinearReference.Apply(EpilogueFunction.Sigmoid, sum);
            errors[c] = (error / 4) + (FunctionError * gates[c]);
        }

        return (gates, errors);
    }

    /// <summary>Values whose sums with numbers of about 1 are about 1.</summary>
    private static float[] Weights(int count, int seed, int terms) => TestData.Values(count, seed, scale: 1 / MathF.Sqrt(terms), outliers: false);

    private static float[] Rows(float[] values, int length, int padded) => [.. values.Chunk(length).SelectMany(r => r.Concat(new float[padded - length]))];

    private static float[] Transposed(float[] values, int columns)
    {
        int rows = values.Length / columns;
        return [.. Enumerable.Range(0, values.Length).Select(i => values[(i % rows * columns) + (i / rows)])];
    }
}
