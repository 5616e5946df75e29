using KernelAD.Interop;
using KernelAD.Kernels;

namespace KernelAD.Backends.Cuda;

/// <summary>Launches of the kernels that work on pictures' planes: filters, pooling, interpolation, similarities. All dense float32.</summary>
internal static class PlaneLaunches
{
    /// <summary>A separable filter.</summary>
    public static IReadOnlyList<KernelLaunch> Filter(CudaSession session, FilterArguments a, int planes)
    {
        int shared = FilterArguments.SharedBytes(a.Radius);
        return Launches.Planes(planes, (first, count) =>
        {
            FilterArguments part = a;
            part.X += first * Bytes(a.Height, a.Width);
            part.Y += first * Bytes(a.Height, a.Width);
            return KernelLaunch.Of(
                session.Kernel("separable_filter"), Launches.Grid(a.Width, FilterArguments.TileColumns, a.Height, FilterArguments.TileRows, count), part, shared);
        });
    }

    /// <summary>Pooling.</summary>
    /// <param name="session">The device.</param>
    /// <param name="a">The arguments but for TileShift.</param>
    /// <param name="planes">Planes.</param>
    public static IReadOnlyList<KernelLaunch> Pool(CudaSession session, PoolArguments a, int planes)
    {
        a.TileShift = PoolArguments.TileShiftFor(a.Kernel, a.Stride);
        int shared = PoolArguments.SharedBytes(a.Kernel, a.Stride, a.TileShift);
        return Launches.Planes(planes, (first, count) =>
        {
            PoolArguments part = a;
            part.X += first * Bytes(a.Height, a.Width);
            part.Y += first * Bytes(a.YHeight, a.YWidth);
            return KernelLaunch.Of(session.Kernel("pool"), Launches.Grid(a.YWidth, 1 << a.TileShift, a.YHeight, PoolArguments.TileRows, count), part, shared);
        });
    }

    /// <summary>Bilinear interpolation.</summary>
    public static IReadOnlyList<KernelLaunch> Resize(CudaSession session, ResizeArguments a, int planes) => Launches.Planes(planes, (first, count) =>
    {
        ResizeArguments part = a;
        int channels = a.Channels.Value;
        part.X += first * Bytes(a.Height, a.Width) * channels;
        part.Y += first * Bytes(a.YHeight, a.YWidth) * channels;
        return KernelLaunch.Of(session.Kernel("resize"), Launches.Grid(checked(a.YWidth * channels), ResizeArguments.Threads, a.YHeight, 1, count), part);
    });

    /// <summary>Structural similarity.</summary>
    /// <param name="session">The device.</param>
    /// <param name="a">The arguments but for Columns.</param>
    /// <param name="planes">Planes.</param>
    /// <exception cref="ConfigurationException">The window is too large for a block's shared memory.</exception>
    public static IReadOnlyList<KernelLaunch> StructuralSimilarity(CudaSession session, StructuralSimilarityArguments a, int planes)
    {
        int shared = StructuralSimilarityArguments.SharedBytes(a.Radius);
        if (shared > session.Device.MaxSharedMemoryPerBlock)
        {
            throw new ConfigurationException(
                $"a window of {(2 * a.Radius) + 1} pixels needs {shared} bytes of shared memory; this GPU has {session.Device.MaxSharedMemoryPerBlock}: use --device cpu");
        }

        a.Columns = Divisor.Of(StructuralSimilarityArguments.TileColumns + (2 * a.Radius));
        return Launches.Planes(planes, (first, count) =>
        {
            StructuralSimilarityArguments part = a;
            part.A += first * Bytes(a.Height, a.Width);
            part.B += first * Bytes(a.Height, a.Width);
            part.Y += first * Bytes(a.Height, a.Width);
            LaunchSize grid = Launches.Grid(a.Width, StructuralSimilarityArguments.TileColumns, a.Height, StructuralSimilarityArguments.TileRows, count);
            return KernelLaunch.Of(session.Kernel("structural_similarity"), grid, part, shared);
        });
    }

    /// <summary>Gradient magnitude similarity.</summary>
    public static IReadOnlyList<KernelLaunch> Similarity(CudaSession session, GradientSimilarityArguments a, int planes) => Launches.Planes(planes, (first, count) =>
    {
        GradientSimilarityArguments part = a;
        part.A += first * Bytes(a.Height, a.Width);
        part.B += first * Bytes(a.Height, a.Width);
        part.Y += first * Bytes(a.Height, a.Width);
        return KernelLaunch.Of(
            session.Kernel("gradient_similarity"),
            Launches.Grid(a.Width, GradientSimilarityArguments.Threads, a.Height, GradientSimilarityArguments.StripRows, count),
            part);
    });

    private static long Bytes(int height, int width) => (long)height * width * sizeof(float);
}
