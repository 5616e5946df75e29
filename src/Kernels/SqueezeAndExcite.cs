using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels;

/// <summary>
/// Squeeze-and-excite (Hu et al., "Squeeze-and-Excitation Networks"): channels weighed by what their means over the map say, in two launches; see <see cref="SqueezeExciteArguments"/>.
/// <para>The squeezing layer is linear up to its activation, so a block applies it to its own share of the means: W₁ is read once per part of the pixels, and what is left to be added up is a
/// few numbers a block. Each block of the second launch adds them up again, some thousand numbers from the L2 cache, which costs less than a launch that does it once.</para>
/// Models: EfficientNet. FLOPs 2 a value, and 4·C·Squeezed a map. Bytes: x twice, y once; W₁ and W₂ once per part of the pixels.
/// </summary>
internal static class SqueezeAndExcite
{
    private const uint SqueezedAt = SqueezeExciteArguments.Threads * sizeof(float);
    private const uint ColumnsAt = SqueezedAt + (SqueezeExciteArguments.MaxSqueezed * sizeof(float));
    private const uint RowBytes = SqueezeExciteArguments.Columns * sizeof(float);

    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions() =>
    [
        KernelCatalog.Kernel<SqueezeExciteArguments>("squeeze", SqueezeExciteArguments.Threads, 2, SqueezeExciteArguments.SharedBytes, 64, Squeeze),
        KernelCatalog.Kernel<SqueezeExciteArguments>("excite", SqueezeExciteArguments.Threads, 2, SqueezeExciteArguments.SharedBytes, 64, Excite),
    ];

    /// <summary>What a block's pixels and channels add to W₁·mean(x).</summary>
    public static void Squeeze(SqueezeExciteArguments a)
    {
        SqueezeExciteBlock block = SqueezeExciteBlock.Of(a);
        F4 sums = default;
        if (block.Channels > 0)
        {
            for (int pixel = block.FirstPixel; pixel < block.EndPixel; pixel += 2 * SqueezeExciteArguments.PixelsAtOnce)
            {
                block.LoadTwo(a, pixel, out F4 first, out F4 second);
                sums.X += first.X + second.X;
                sums.Y += first.Y + second.Y;
                sums.Z += first.Z + second.Z;
                sums.W += first.W + second.W;
            }
        }

        // Over the four pixels of the warp, then over the warps.
        sums = SumOfPixels(sums);
        uint smem = Shared.Base();
        if (Threads.Lane < SqueezeExciteArguments.Columns / 4)
        {
            Shared.Store4(smem + ((uint)Threads.Warp * RowBytes) + (uint)(Threads.Lane * 16), sums);
        }

        Threads.Barrier();
        if (Threads.Warp == 0)
        {
            Shared.Store(smem + ColumnsAt + (uint)(Threads.Lane * sizeof(float)), SumOfWarps(smem) * a.Scale);
        }

        Threads.Barrier();
        if (Threads.Index < a.Squeezed.Value)
        {
            long w = a.SqueezeWeight + ((((long)Threads.Index * a.PaddedChannels) + block.TileChannel) * sizeof(float));
            uint means = smem + ColumnsAt;
            float sum = 0;
            for (int i = 0; i < SqueezeExciteArguments.Columns / 4; i++)
            {
                F4 weights = Global.Float4(w + (i * 16)), mean = Shared.Float4(means + (uint)(i * 16));
                sum = Numbers.Fma(weights.W, mean.W, Numbers.Fma(weights.Z, mean.Z, Numbers.Fma(weights.Y, mean.Y, Numbers.Fma(weights.X, mean.X, sum))));
            }

            Global.Store(a.Sums + ((((long)Grid.IdxX * a.Squeezed.Value) + Threads.Index) * sizeof(float)), sum);
        }
    }

    /// <summary>The factors of a block's channels, and its pixels times them.</summary>
    public static void Excite(SqueezeExciteArguments a)
    {
        SqueezeExciteBlock block = SqueezeExciteBlock.Of(a);
        int thread = Threads.Index, squeezed = a.Squeezed.Value;
        uint smem = Shared.Base(), own = smem + (uint)(thread * sizeof(float));

        // s: lanes are neighbouring values, as many threads as there are slices share the sums of one value.
        int slice = Numbers.Divide(thread, a.Squeezed), slices = a.SumSlices.Value;
        float sum = 0;
        if (slice < slices)
        {
            int count = Numbers.Divide(Numbers.Max(a.MapBlocks.Value - slice + slices - 1, 0), a.SumSlices);
            sum = Accumulation.Of(new ReduceArguments { X = a.Sums }, ((long)block.Map * a.MapBlocks.Value * squeezed) + thread, slices * squeezed, count);
        }

        Shared.Store(own, sum);
        Threads.Barrier();
        if (thread < squeezed)
        {
            for (int i = 1; i < slices; i++)
            {
                sum += Shared.Float(own + (uint)(i * squeezed * sizeof(float)));
            }

            Shared.Store(own + SqueezedAt, Numbers.Swish(sum + Global.Constant(a.SqueezeBias + (thread * sizeof(float)))));
        }

        Threads.Barrier();

        // g: lanes are channels, the warps share the squeezed values.
        long w = a.ExciteWeight + ((((long)Threads.Warp * a.PaddedChannels) + block.TileChannel + Threads.Lane) * sizeof(float));
        float gate = 0;
        for (int i = Threads.Warp; i < squeezed; i += SqueezeExciteArguments.BlockWarps)
        {
            gate = Numbers.Fma(Global.Constant(w), Shared.Float(smem + SqueezedAt + (uint)(i * sizeof(float))), gate);
            w += (long)SqueezeExciteArguments.BlockWarps * a.PaddedChannels * sizeof(float);
        }

        Shared.Store(own, gate);
        Threads.Barrier();
        if (Threads.Warp == 0)
        {
            float bias = Global.Constant(a.ExciteBias + ((block.TileChannel + Threads.Lane) * sizeof(float)));
            Shared.Store(own + ColumnsAt, Numbers.Sigmoid(SumOfWarps(smem) + bias));
        }

        Threads.Barrier();
        if (block.Channels > 0)
        {
            F4 gates = Shared.Float4(smem + ColumnsAt + (uint)((thread & ((SqueezeExciteArguments.Columns / 4) - 1)) * 16));
            for (int pixel = block.FirstPixel; pixel < block.EndPixel; pixel += 2 * SqueezeExciteArguments.PixelsAtOnce)
            {
                block.LoadTwo(a, pixel, out F4 first, out F4 second);
                block.Store(a, pixel, first, gates);
                block.Store(a, pixel + SqueezeExciteArguments.PixelsAtOnce, second, gates);
            }
        }
    }

    /// <summary>Sums over the 4 lanes that share lane mod 8, in all of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static F4 SumOfPixels(F4 v) => new() { X = SumOfPixels(v.X), Y = SumOfPixels(v.Y), Z = SumOfPixels(v.Z), W = SumOfPixels(v.W) };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float SumOfPixels(float value)
    {
        value += Threads.ShuffleXor(value, 8);
        return value + Threads.ShuffleXor(value, 16);
    }

    /// <summary>The sum of this lane's number of all warps.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float SumOfWarps(uint smem)
    {
        uint address = smem + (uint)(Threads.Lane * sizeof(float));
        float sum = Shared.Float(address);
        for (int w = 1; w < SqueezeExciteArguments.BlockWarps; w++)
        {
            sum += Shared.Float(address + ((uint)w * RowBytes));
        }

        return sum;
    }
}

/// <summary>Which pixels and channels a block has, and a thread of it: four channels of every 64th pixel.</summary>
internal struct SqueezeExciteBlock
{
    /// <summary>The map.</summary>
    public int Map;

    /// <summary>The block's first channel.</summary>
    public int TileChannel;

    /// <summary>The thread's first pixel of the map.</summary>
    public int FirstPixel;

    /// <summary>The end of the block's pixels.</summary>
    public int EndPixel;

    /// <summary>Channels from the thread's first one on; none if 0 or negative.</summary>
    public int Channels;

    /// <summary>This thread's.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SqueezeExciteBlock Of(SqueezeExciteArguments a)
    {
        int map = Numbers.Divide(Grid.IdxX, a.MapBlocks), inMap = Grid.IdxX - (map * a.MapBlocks.Value);
        int part = Numbers.Divide(inMap, a.ColumnTiles), firstPixel = part * a.PartPixels;
        SqueezeExciteBlock block = new()
        {
            Map = map,
            TileChannel = (inMap - (part * a.ColumnTiles.Value)) * SqueezeExciteArguments.Columns,
            FirstPixel = firstPixel + (Threads.Index / (SqueezeExciteArguments.Columns / 4)),
            EndPixel = Numbers.Min(firstPixel + a.PartPixels, a.Pixels),
        };
        block.Channels = a.Channels - block.FirstChannel;
        return block;
    }

    private readonly int FirstChannel => TileChannel + ((Threads.Index & ((SqueezeExciteArguments.Columns / 4) - 1)) * 4);

    /// <summary>The thread's channels of a pixel and of the next one, both on their way before either is needed; zeros beyond the last channel and pixel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void LoadTwo(SqueezeExciteArguments a, int pixel, out F4 first, out F4 second)
    {
        first = Load(a, pixel);
        second = default;
        if (pixel + SqueezeExciteArguments.PixelsAtOnce < EndPixel)
        {
            second = Load(a, pixel + SqueezeExciteArguments.PixelsAtOnce);
        }
    }

    /// <summary>Stores the thread's channels of a pixel times factors, if there is such a pixel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(SqueezeExciteArguments a, int pixel, F4 v, F4 factors)
    {
        if (pixel < EndPixel)
        {
            v.X *= factors.X;
            v.Y *= factors.Y;
            v.Z *= factors.Z;
            v.W *= factors.W;
            Results.Store(a.Y, Element(a, pixel), v, Numbers.Min(Channels, 4), a.Type, a.Vectors != 0);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly long Element(SqueezeExciteArguments a, int pixel) => ((((long)Map * a.Pixels) + pixel) * a.Channels) + FirstChannel;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly F4 Load(SqueezeExciteArguments a, int pixel)
    {
        long element = Element(a, pixel);
        if (a.Vectors != 0)
        {
            return Elements.Load4(a.X, element, a.XType);
        }

        F4 v = default;
        v.X = Elements.Load(a.X, element, a.XType);
        if (Channels > 1)
        {
            v.Y = Elements.Load(a.X, element + 1, a.XType);
        }

        if (Channels > 2)
        {
            v.Z = Elements.Load(a.X, element + 2, a.XType);
        }

        if (Channels > 3)
        {
            v.W = Elements.Load(a.X, element + 3, a.XType);
        }

        return v;
    }
}
