using KernelAD.Kernels.Device;
using KernelAD.Kernels.Tiles;

namespace KernelAD.Kernels;

/// <summary>
/// Dense convolution, channels last: a Linear over the windows of all result pixels, which are gathered from the maps while they are copied to shared memory (implicit GEMM). Any
/// kernel up to 16×16, stride and padding. The weight's K is (row, column, channel), so that a copy takes neighbouring channels; beyond the border copies write zeros.
/// Grid, tiles, splits and epilogue as <see cref="Linear"/>. Models: ResNet-18's layers, EfficientNet's stem.
/// <para>FLOPs 2·M·N·K. Bytes: the maps once per column tile and tap, mostly from L2, W once per row tile, y once.</para>
/// </summary>
internal static class Convolution
{
    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions()
    {
        MainLoop exact = new("FFMA", 0.78), fast128 = new("HMMA", 0.425), fast128Of8 = new("HMMA", 0.32), fast64 = new("HMMA", 0.21);
        yield return Kernel("convolution_fp32_64", 4, Linear.ExactBytes64, 104, Exact<Exact64, AsyncCopy>, Exact<Exact64, DirectCopy>, exact);
        yield return Kernel("convolution_fp16_128", 2, Linear.FastBytes128, 224, Fast<Fast128, HalfUnit, AsyncCopy>, Fast<Fast128, HalfUnitTuring, DirectCopy>, fast128);
        yield return Kernel("convolution_fp16_128of8", 2, Linear.FastBytes128, 128, Fast<Fast128Of8, HalfUnit, AsyncCopy>, null, fast128Of8, threads: 256);
        yield return Kernel("convolution_fp16_64", 4, Linear.FastBytes64, 120, Fast<Fast64, HalfUnit, AsyncCopy>, Fast<Fast64, HalfUnitTuring, DirectCopy>, fast64);
        yield return Kernel("convolution_tf32_128", 2, Linear.FastBytes128, 224, Fast<Fast128, Tf32Unit, AsyncCopy>, null, fast128);
        yield return Kernel("convolution_tf32_128of8", 2, Linear.FastBytes128, 128, Fast<Fast128Of8, Tf32Unit, AsyncCopy>, null, fast128Of8, threads: 256);
        yield return Kernel("convolution_tf32_64", 4, Linear.FastBytes64, 120, Fast<Fast64, Tf32Unit, AsyncCopy>, null, fast64);

        static KernelDefinition Kernel(
            string name, int minBlocks, int sharedBytes, int registers, Action<ConvolutionArguments> ampere, Action<ConvolutionArguments>? turing, MainLoop loop, int threads = 128) =>
            KernelCatalog.Kernel(name, threads, minBlocks, sharedBytes, registers, ampere, turing, loop);
    }

    /// <summary>fp32 in FFMA.</summary>
    public static void Exact<TTile, TCopy>(ConvolutionArguments a)
        where TTile : struct, IExactTile
        where TCopy : struct, ICopy => Linear.ExactProduct<TTile, WindowRows8, TCopy>(a.Linear, new WindowRows8 { Convolution = a });

    /// <summary>fp16 or tf32 on tensor cores.</summary>
    public static void Fast<TTile, TUnit, TCopy>(ConvolutionArguments a)
        where TTile : struct, IFastTile
        where TUnit : struct, IMatrixUnit
        where TCopy : struct, ICopy =>
            Linear.FastProduct<TTile, WindowRows4, MatrixResults, TUnit, TCopy>(a.Linear, new WindowRows4 { Convolution = a }, default);
}
