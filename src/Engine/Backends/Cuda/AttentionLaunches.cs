using KernelAD.Interop;
using KernelAD.Kernels;

namespace KernelAD.Backends.Cuda;

/// <summary>Launches of multi-head attention.</summary>
internal static class AttentionLaunches
{
    private const int WarpSize = 32;

    /// <summary>o = softmax(scale · q·kᵀ)·v for each batch item and head.</summary>
    /// <param name="session">The device.</param>
    /// <param name="operands">Type of q, k and v.</param>
    /// <param name="batch">Batch items.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="a">The arguments but for Vectors.</param>
    /// <exception cref="ConfigurationException">A head is wider than the kernels hold.</exception>
    public static IReadOnlyList<KernelLaunch> Create(CudaSession session, StorageType operands, int batch, int heads, AttentionArguments a)
    {
        if (Math.Max(a.KeyWidth, a.ValueWidth) > AttentionLaunch.WidestHead)
        {
            throw new ConfigurationException(
                $"attention heads are {Math.Max(a.KeyWidth, a.ValueWidth)} wide; the CUDA kernels hold up to {AttentionLaunch.WidestHead}: use --device cpu");
        }

        KernelInfo kernel = session.Kernel(AttentionLaunch.Kernel(operands, a.KeyWidth, a.ValueWidth));
        int elements = 16 / operands.Bytes();
        bool vectors = a.KeyWidth % elements == 0 && a.ValueWidth % elements == 0
            && Launches.Aligned(a.Q, a.QStride, elements, operands) && a.QBatch % elements == 0
            && Launches.Aligned(a.K, a.KStride, elements, operands) && a.KBatch % elements == 0
            && Launches.Aligned(a.V, a.VStride, elements, operands) && a.VBatch % elements == 0
            && Launches.Aligned(a.O, a.OStride, 4, a.Type) && a.OBatch % 4 == 0 && a.ValueWidth % 4 == 0;
        a.Vectors = vectors ? 1 : 0;
        int queries = AttentionLaunch.WarpQueries * kernel.Threads / WarpSize;
        return Launches.Planes(batch, (first, count) =>
        {
            AttentionArguments part = a;
            part.Q += first * a.QBatch * operands.Bytes();
            part.K += first * a.KBatch * operands.Bytes();
            part.V += first * a.VBatch * operands.Bytes();
            part.O += first * a.OBatch * a.Type.Bytes();
            return KernelLaunch.Of(kernel, new LaunchSize(Launches.Blocks(a.Queries, queries), heads, count), part);
        });
    }
}
