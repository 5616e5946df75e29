using KernelAD.Interop;
using KernelAD.Kernels;
using KernelAD.Planner;
using KernelAD.Tensors;

namespace KernelAD.Backends.Cuda;

/// <summary>Where a run's memory is, and which slice of a sliced region is meant.</summary>
/// <param name="Arena">The run context's arena.</param>
/// <param name="Slice">Index of the slice; 0 outside the region.</param>
internal readonly record struct DeviceRun(DeviceAddress Arena, int Slice);

/// <summary>
/// Where a value lies on the device: in a buffer of the arena, or at a fixed address (weights). Row-major; rows may lie further apart than they are long, for
/// instance where the value is some columns of a wider one. Counted in elements.
/// </summary>
/// <param name="Buffer">The buffer; null: at <paramref name="Address"/>.</param>
/// <param name="Address">The fixed address.</param>
/// <param name="Offset">Where in the buffer the value begins.</param>
/// <param name="RowStride">From one row to the next.</param>
/// <param name="SliceStride">From one slice of a sliced region to the next; 0 where every slice uses the same memory.</param>
/// <param name="Type">How an element is stored.</param>
internal sealed record DeviceValue(PlannedBuffer? Buffer, DeviceAddress Address, long Offset, long RowStride, long SliceStride, StorageType Type)
{
    /// <summary>From one index of the first dimension to the next where rows are left out between them; 0: they follow one another.</summary>
    public long BatchStride { get; init; }

    /// <summary>Bytes of an element.</summary>
    public int ElementBytes => Type.Bytes();

    /// <summary>A view that starts later.</summary>
    public DeviceValue At(long elements) => this with { Offset = Offset + elements };

    /// <summary>The strides of a value of this shape.</summary>
    public long[] Strides(Shape shape)
    {
        long[] strides = new long[shape.Rank];
        long next = 1;
        for (int i = shape.Rank - 1; i >= 0; i--)
        {
            strides[i] = next;
            next = i == shape.Rank - 1 ? RowStride : next * shape[i];
        }

        if (BatchStride != 0)
        {
            strides[0] = BatchStride;
        }

        return strides;
    }

    /// <summary>The address of the first element in a run; known once the arena is laid out.</summary>
    public long Resolve(in DeviceRun run)
    {
        DeviceAddress start = Buffer is null ? Address : run.Arena + Buffer.Offset;
        return (long)(start + ((Offset + (run.Slice * SliceStride)) * ElementBytes)).Value;
    }
}

/// <summary>What the storage types mean.</summary>
internal static class StorageTypes
{
    /// <summary>Bytes of an element.</summary>
    public static int Bytes(this StorageType type) => type == StorageType.Half ? 2 : 4;

    /// <summary>The type in which a precision's matrix products take their operands.</summary>
    public static StorageType OperandType(this Precision precision) => precision switch
    {
        Precision.Fp16 => StorageType.Half,
        Precision.Tf32 => StorageType.Tf32,
        _ => StorageType.Float,
    };
}
