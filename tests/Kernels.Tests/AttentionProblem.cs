using KernelAD.Interop;

namespace KernelAD.Kernels.Tests;

/// <summary>A case of attention: its shape, its launch and what must come out.</summary>
internal sealed record AttentionProblem
{
    /// <summary>Type of q, k and v.</summary>
    public StorageType Operands { get; init; }

    public int Batch { get; init; } = 1;

    public required int Queries { get; init; }

    public required int Keys { get; init; }

    public required int Heads { get; init; }

    public required int KeyWidth { get; init; }

    public required int ValueWidth { get; init; }

    public float Scale { get; init; }

    public bool Joined { get; init; }

    public StorageType Type { get; init; }

    public AttentionMask Mask { get; init; }

    public int GridWidth { get; init; }

    public int RowRadius { get; init; }

    public int ColumnRadius { get; init; }

    public float Factor => Scale != 0 ? Scale : 1 / MathF.Sqrt(KeyWidth);

    public bool IsAligned(int elementBytes) => KeyWidth * elementBytes % 16 == 0 && ValueWidth * elementBytes % 16 == 0 && ValueWidth % 4 == 0;

    public bool Sees(int query, int key)
    {
        if (Mask == AttentionMask.None)
        {
            return true;
        }

        int rows = Math.Abs((query / GridWidth) - (key / GridWidth)), columns = Math.Abs((query % GridWidth) - (key % GridWidth));
        return (rows <= RowRadius && columns <= ColumnRadius) == (Mask == AttentionMask.Neighbours);
    }

    /// <summary>Values that the operands' type holds exactly, roughly normal.</summary>
    public float[] Fill(int count, int seed, float scale) => [.. TestData.Values(count, seed, scale, outliers: false).Select(x => Rounding.To(Operands, x))];

    /// <summary>Runs on seeded operands.</summary>
    /// <returns>Where a result is not the one in float64, in words; null if it is everywhere.</returns>
    public string? Deviation(DeviceBench bench)
    {
        int keyColumns = Heads * KeyWidth, valueColumns = Heads * ValueWidth;
        return Deviation(bench, Fill(Batch * Queries * keyColumns, 1, 1), Fill(Batch * Keys * keyColumns, 2, 1), Fill(Batch * Keys * valueColumns, 3, 1));
    }

    /// <summary>The same on given operands.</summary>
    public string? Deviation(DeviceBench bench, float[] q, float[] k, float[] v)
    {
        float[] actual = Run(bench, q, k, v);
        (double[] expected, double[] tolerance) = Reference(q, k, v);
        for (int i = 0; i < actual.Length; i++)
        {
            if (!(Math.Abs(actual[i] - expected[i]) <= tolerance[i]) && !(float.IsNaN(actual[i]) && double.IsNaN(expected[i])))
            {
                return $"element {i}: {actual[i]:R}, expected {expected[i]:R} ± {tolerance[i]:E1}; {this}";
            }
        }

        return null;
    }

    /// <summary>Runs the kernel that the launch rules choose; rows of the result are three elements apart, which nobody may touch.</summary>
    public float[] Run(DeviceBench bench, float[] q, float[] k, float[] v)
    {
        int keyColumns = Heads * KeyWidth, valueColumns = Heads * ValueWidth;
        int size = DeviceArray.ElementBytes(Operands), outputGap = IsAligned(size) ? 4 : 3;
        DeviceArray first, second, third;
        int qOffset = 0, kOffset = 0, vOffset = 0, keyStride = keyColumns, valueStride = valueColumns;
        if (Joined)
        {
            float[] joined = new float[Batch * Keys * ((2 * keyColumns) + valueColumns)];
            kOffset = keyColumns;
            vOffset = 2 * keyColumns;
            keyStride = valueStride = (2 * keyColumns) + valueColumns;
            for (int row = 0; row < Batch * Keys; row++)
            {
                q.AsSpan(row * keyColumns, keyColumns).CopyTo(joined.AsSpan(row * keyStride));
                k.AsSpan(row * keyColumns, keyColumns).CopyTo(joined.AsSpan((row * keyStride) + kOffset));
                v.AsSpan(row * valueColumns, valueColumns).CopyTo(joined.AsSpan((row * keyStride) + vOffset));
            }

            first = second = third = bench.Place(joined, Operands);
        }
        else
        {
            first = bench.Place(q, Operands);
            second = bench.Place(k, Operands);
            third = bench.Place(v, Operands);
        }

        int outputStride = valueColumns + outputGap;
        DeviceArray o = bench.Poisoned(Batch * Queries * outputStride, Type);
        AttentionArguments arguments = new()
        {
            Q = first.At(qOffset),
            K = second.At(kOffset),
            V = third.At(vOffset),
            O = o.Address,
            QBatch = (long)Queries * keyStride,
            KBatch = (long)Keys * keyStride,
            VBatch = (long)Keys * valueStride,
            OBatch = (long)Queries * outputStride,
            QStride = keyStride,
            KStride = keyStride,
            VStride = valueStride,
            OStride = outputStride,
            Queries = Queries,
            Keys = Keys,
            KeyWidth = KeyWidth,
            ValueWidth = ValueWidth,
            Scale = Factor,
            Type = Type,
            Vectors = IsAligned(size) ? 1 : 0,
            Mask = Mask,
            GridWidth = Divisor.Of(Math.Max(1, GridWidth)),
            RowRadius = RowRadius,
            ColumnRadius = ColumnRadius,
        };
        string kernel = AttentionLaunch.Kernel(Operands, arguments);
        int queriesPerBlock = KernelText.Definition(kernel).Threads / 32 * AttentionLaunch.WarpQueries;
        bench.Run(kernel, new LaunchSize((Queries + queriesPerBlock - 1) / queriesPerBlock, Heads, Batch), arguments);

        float[] padded = bench.Read(o), result = new float[Batch * Queries * valueColumns];
        for (int row = 0; row < Batch * Queries; row++)
        {
            Span<float> stored = padded.AsSpan(row * outputStride, outputStride);
            stored[..valueColumns].CopyTo(result.AsSpan(row * valueColumns));
            Assert.That(stored[valueColumns..].ToArray(), Is.All.NaN, "between the rows");
        }

        return result;
    }

    /// <summary>
    /// Attention in float64, mask materialised, with the error that the kernel may have. It multiplies exactly rounded operands; left are float32 sums (ε per
    /// logit, worth its size in the weights) and, on tensor cores, weights rounded to 11 bits, each of its own size.
    /// </summary>
    private (double[] Result, double[] Tolerance) Reference(float[] q, float[] k, float[] v)
    {
        double[] result = new double[Batch * Queries * Heads * ValueWidth], tolerance = new double[result.Length], logits = new double[Keys];
        for (int row = 0; row < Batch * Queries; row++)
        {
            int query = row % Queries, firstKey = row / Queries * Keys;
            for (int head = 0; head < Heads; head++)
            {
                double logitError = 0;
                for (int key = 0; key < Keys; key++)
                {
                    double sum = 0, size = 0;
                    for (int i = 0; i < KeyWidth; i++)
                    {
                        double product = (double)q[(((row * Heads) + head) * KeyWidth) + i] * k[((((firstKey + key) * Heads) + head) * KeyWidth) + i];
                        sum += product;
                        size += Math.Abs(product);
                    }

                    logits[key] = Sees(query, key) ? sum * Factor : double.NegativeInfinity;
                    logitError = Math.Max(logitError, size * Factor * Math.ScaleB(1, -23));
                }

                double highest = logits.Max(), total = logits.Sum(s => Math.Exp(s - highest));
                for (int column = 0; column < ValueWidth; column++)
                {
                    double sum = 0, size = 0, values = 0;
                    for (int key = 0; key < Keys; key++)
                    {
                        double value = v[((((firstKey + key) * Heads) + head) * ValueWidth) + column], term = Math.Exp(logits[key] - highest) / total * value;
                        sum += term;
                        size += Math.Abs(term);
                        values += Math.Abs(value);
                    }

                    int index = (((row * Heads) + head) * ValueWidth) + column;
                    result[index] = sum;
                    // Half weights below 2⁻¹⁴ are rounded to multiples of 2⁻²⁴.
                    double weightError = Rounding.Unit(Operands) + (2 * logitError) + 2e-6;
                    double underflow = Operands == StorageType.Half ? Math.ScaleB(values, -25) : 0;
                    tolerance[index] = (size * weightError) + underflow + (Math.Abs(sum) * Rounding.Unit(Type))
                        + (Type == StorageType.Half ? Math.ScaleB(1, -25) : 0);
                }
            }
        }

        return (result, tolerance);
    }
}
