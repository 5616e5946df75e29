using System.Runtime.CompilerServices;
using ILGPU;
using KernelAD.Kernels.Device;

namespace KernelAD.Kernels;

/// <summary>
/// Movements that <see cref="Elementwise"/>'s strided copy would do badly: the transposition of matrices, the gathering of a table's rows, and pictures cut into
/// patches.
/// FLOPs 0. Bytes: what is read, once (gather: each row as often as it is named, mostly from the caches), and what is written, once.
/// </summary>
internal static class Movement
{
    /// <summary>The kernels to compile.</summary>
    public static IEnumerable<KernelDefinition> Definitions() =>
    [
        KernelCatalog.Kernel<TransposeArguments>("transpose", TransposeArguments.Threads, 4, TransposeArguments.SharedBytes, 24, Transpose),
        KernelCatalog.Kernel<GatherArguments>("gather", GatherArguments.Threads, 4, 0, 24, Gather),
        KernelCatalog.Kernel<PatchArguments>("patches", PatchArguments.Threads, 4, 0, 40, Patches),
    ];

    /// <summary>
    /// A warp reads rows of the tile and writes columns of it: 33 floats a row keep both free of bank conflicts. Models: features to tokens and back.
    /// </summary>
    public static void Transpose(TransposeArguments a)
    {
        const int Side = TransposeArguments.Side, WarpStep = TransposeArguments.Threads / 32;
        uint smem = Shared.Base();
        int lane = Threads.Lane, warp = Threads.Warp, firstRow = Grid.IdxY * Side, firstColumn = Grid.IdxX * Side;
        for (int i = warp; i < Side; i += WarpStep)
        {
            int row = firstRow + i, column = firstColumn + lane;
            float v = 0;
            if (row < a.Rows && column < a.Columns)
            {
                v = Elements.Load(a.X, (Grid.IdxZ * a.XBatchStride) + ((long)row * a.XStride) + column, a.XType);
            }

            Shared.Store(smem + (uint)(((i * (Side + 1)) + lane) * sizeof(float)), v);
        }

        Threads.Barrier();
        for (int i = warp; i < Side; i += WarpStep)
        {
            int row = firstColumn + i, column = firstRow + lane;
            if (row < a.Columns && column < a.YColumns)
            {
                float v = Shared.Float(smem + (uint)(((lane * (Side + 1)) + i) * sizeof(float)));
                Results.Store(a.Y, (Grid.IdxZ * a.YBatchStride) + ((long)row * a.YStride) + column, v, a.Type);
            }
        }
    }

    /// <summary>
    /// A thread four values of a patch, whose rows a Linear multiplies. Gathered inside the product instead, the pixels' loads would hold up every tile of K, and each
    /// column tile would repeat them: on an H200 47 µs instead of 14 for ViTAD, 680 instead of some 30 for VT-ADL. Models: ViTAD, InTra, VT-ADL.
    /// </summary>
    public static void Patches(PatchArguments a)
    {
        int unit = (Grid.IdxX * PatchArguments.Threads) + Threads.Index, row = Numbers.Divide(unit, a.RowUnits), k = (unit - (row * a.RowUnits.Value)) * 4;
        if (row >= a.Rows)
        {
            return;
        }

        int picture = Numbers.Divide(row, a.PatchesPerPicture), place = row - (picture * a.PatchesPerPicture.Value);
        int patchRow = Numbers.Divide(place, a.PatchColumns), patchColumn = place - (patchRow * a.PatchColumns.Value);
        long corner = a.X + (uint)((picture * a.PictureBytes) + (patchRow * a.PatchRowBytes) + (patchColumn * a.PatchColumnBytes));
        long distances = a.Distances + ((long)k * sizeof(int));
        F4 values = new() { X = Value(a, corner, distances, k), Y = Value(a, corner, distances + 4, k + 1) };
        values.Z = Value(a, corner, distances + 8, k + 2);
        values.W = Value(a, corner, distances + 12, k + 3);
        Results.Store(a.Y, ((long)row * a.YStride) + k, values, 4, a.Type, aligned: true);
    }

    /// <summary>A warp a row. Models: InTra's windows.</summary>
    public static void Gather(GatherArguments a)
    {
        int row = (Grid.IdxX * GatherArguments.RowsPerBlock) + Threads.Warp;
        if (row >= a.Rows)
        {
            return;
        }

        int picture = Numbers.Divide(a.FirstRow + row, a.IndexCount), entry = a.FirstRow + row - (picture * a.IndexCount.Value);
        int index = Global.Int(a.Indices + ((long)entry * sizeof(int)));
        long x = a.X + ((((long)picture * a.TableRows) + index) * a.XStride * a.UnitBytes), y = a.Y + ((long)row * a.YStride * a.UnitBytes);
        for (int i = Threads.Lane; i < a.Width; i += 32)
        {
            long offset = (long)i * a.UnitBytes;
            if (a.UnitBytes == 16)
            {
                Global.Copy16(y + offset, x + offset);
            }
            else if (a.UnitBytes == 4)
            {
                Global.Copy4(y + offset, x + offset);
            }
            else
            {
                Global.Copy2(y + offset, x + offset);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Value(PatchArguments a, long corner, long distance, int k)
    {
        float value = 0;
        if (k < a.K)
        {
            value = Global.Constant(corner + (uint)Global.Int(distance));
        }

        return value;
    }
}
