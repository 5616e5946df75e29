using System.Runtime.InteropServices;
using KernelAD.Tensors;
using KernelAD.Weights;
using KernelAD.WeightsConverter.Archives;
using KernelAD.WeightsConverter.Pickle;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>A named tensor of a checkpoint: its view is validated, its values stay in the file until they are written or read, a piece at a time.</summary>
internal sealed class CheckpointTensor : WeightTensor
{
    /// <summary>Elements handled at a time.</summary>
    private const int ChunkElements = 1 << 16;

    private readonly CheckpointFile _file;
    private readonly TensorRef _view;

    /// <summary>Takes a view after checking it.</summary>
    /// <exception cref="CheckpointException">A size is negative or too large, or the view reaches outside its storage.</exception>
    public CheckpointTensor(CheckpointFile file, string name, TensorRef view)
        : base(name)
    {
        _file = file;
        _view = view;
        Int128 storageBytes = (Int128)view.Storage.Count * view.Storage.Type.ElementSize;
        if (view.Shape.Length != view.Strides.Length
            || view.Offset < 0
            || view.Shape.Any(e => e is < 0 or > int.MaxValue)
            || view.Strides.Any(s => s < 0))
        {
            throw Fault($"has shape ({string.Join(", ", view.Shape)}), strides ({string.Join(", ", view.Strides)}) and offset {view.Offset}, which no tensor has");
        }

        // The largest index touched, plus one; extents and strides below 2⁶³ and at most 64 of them keep the sum within 128 bits.
        Int128 end = (Int128)view.Offset + 1, count = 1;
        for (int i = 0; i < view.Shape.Length; i++)
        {
            end += (Int128)Math.Max(view.Shape[i] - 1, 0) * view.Strides[i];
            count *= view.Shape[i];
            if (count > long.MaxValue)
            {
                throw Fault($"has shape ({string.Join(", ", view.Shape)}), more elements than any file");
            }
        }

        if (count > 0 && end * view.ElementSize > storageBytes)
        {
            throw Fault($"ends at element {end} of a storage of {storageBytes} bytes, {view.ElementSize} each");
        }

        Shape = new Shape([.. view.Shape.Select(e => (int)e)]);
        Span = count > 0 ? (long)end - view.Offset : 0;
    }

    /// <inheritdoc/>
    public override Shape Shape { get; }

    /// <inheritdoc/>
    public override ElementType OutputType => _view.Element is ElementType.F16 or ElementType.BF16 ? _view.Element.Value : ElementType.F32;

    /// <summary>Elements of the storage from the first to the last that the view touches.</summary>
    private long Span { get; }

    /// <inheritdoc/>
    public override void WriteTo(Stream destination)
    {
        bool keep = OutputType == _view.Element;
        ForEachChunk((_, raw, values) => destination.Write(keep ? raw : MemoryMarshal.AsBytes(values)));
    }

    /// <summary>The values in memory.</summary>
    /// <exception cref="CheckpointException">A value is NaN or infinite, or the type cannot be converted.</exception>
    public Tensor Read()
    {
        Tensor result = new(Shape);
        ForEachChunk((start, _, values) => values.CopyTo(result.Data.AsSpan((int)start)));
        return result;
    }

    private delegate void ChunkAction(long start, ReadOnlySpan<byte> raw, ReadOnlySpan<float> values);

    private void ForEachChunk(ChunkAction action)
    {
        ElementType type = _view.Element ?? throw Fault($"is of type {_view.ElementName}, which cannot be converted; expected a real type");
        int size = _view.ElementSize;
        byte[] raw = new byte[(int)Math.Min(Shape.Count, ChunkElements) * size];
        float[] values = new float[raw.Length / size];
        byte[]? storage = null;
        if (Shape.Count > 0 && !IsContiguous)
        {
            if (Span * size > Array.MaxLength)
            {
                throw Fault("is a strided view of more than 2 GiB: save it contiguous");
            }

            storage = GC.AllocateUninitializedArray<byte>((int)(Span * size));
            _file.ReadStorage(_view.Storage, _view.Offset * size, storage);
        }

        int[] index = new int[Shape.Rank];
        for (long start = 0; start < Shape.Count; start += values.Length)
        {
            int count = (int)Math.Min(values.Length, Shape.Count - start);
            Span<byte> bytes = raw.AsSpan(0, count * size);
            if (storage is null)
            {
                _file.ReadStorage(_view.Storage, (_view.Offset + start) * size, bytes);
            }
            else
            {
                Gather(storage, bytes, index);
            }

            Span<float> converted = values.AsSpan(0, count);
            ElementConversion.ToFloat32(type, bytes, converted);
            int bad = Finite.FirstNonFinite(converted);
            if (bad >= 0)
            {
                throw Fault($"holds {converted[bad]} at flat index {start + bad}; a model with such a weight computes nothing of use: take another checkpoint of the training run");
            }

            action(start, bytes, converted);
        }
    }

    private bool IsContiguous
    {
        get
        {
            long expected = 1;
            for (int i = Shape.Rank - 1; i >= 0; i--)
            {
                if (Shape[i] != 1 && _view.Strides[i] != expected)
                {
                    return false;
                }

                expected *= Shape[i];
            }

            return true;
        }
    }

    /// <summary>Copies the next elements in row-major order.</summary>
    /// <param name="storage">The touched part of the storage.</param>
    /// <param name="destination">Receives whole elements.</param>
    /// <param name="index">The running index, advanced.</param>
    private void Gather(ReadOnlySpan<byte> storage, Span<byte> destination, int[] index)
    {
        int size = _view.ElementSize;
        long position = 0;
        for (int i = 0; i < index.Length; i++)
        {
            position += index[i] * _view.Strides[i];
        }

        for (; destination.Length > 0; destination = destination[size..])
        {
            storage.Slice((int)position * size, size).CopyTo(destination);
            for (int i = index.Length - 1; i >= 0; i--)
            {
                position += _view.Strides[i];
                if (++index[i] < Shape[i])
                {
                    break;
                }

                position -= index[i] * _view.Strides[i];
                index[i] = 0;
            }
        }
    }

    private CheckpointException Fault(string what) => new($"{_file.FilePath}: tensor \"{Names.Quote(Name)}\" {what}");
}
