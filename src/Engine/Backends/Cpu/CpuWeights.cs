using KernelAD.Weights;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// A model file's weights as the CPU kernels want them, in native memory: linear layers packed into panels, the rest as it is. Each tensor is read and
/// packed when a plan first asks for it, some rows at a time, so peak memory is the weights themselves. Shared by all plans of a
/// model and by all detectors of the same file; freed with the last of them.
/// </summary>
internal sealed unsafe class CpuWeights : IDisposable
{
    private static readonly Lock Sharing = new();
    private static readonly Dictionary<string, CpuWeights> Shared = new(StringComparer.Ordinal);

    private readonly Lock _lock = new();
    private readonly string _identity;
    private readonly ModelFile _file;
    private readonly MemoryPool _memory = new();
    private readonly Dictionary<string, PackedWeights> _packed = new(StringComparer.Ordinal);
    private readonly Dictionary<string, nint> _raw = new(StringComparer.Ordinal);
    private int _owners;

    private CpuWeights(string identity, ModelFile file)
    {
        _identity = identity;
        _file = file;
    }

    /// <summary>Bytes of all weights taken up so far.</summary>
    public long Bytes => _memory.Bytes;

    /// <summary>The weights of a file: the ones in use if some detector has them already, otherwise new ones that take over <paramref name="file"/>.</summary>
    public static CpuWeights Of(ModelFile file)
    {
        string identity = FormattableString.Invariant($"{Path.GetFullPath(file.Path)}|{file.LastWriteTimeUtc.Ticks}");
        lock (Sharing)
        {
            // The time shows a file that was written over, of which both handles see the new content; the content one that was replaced by another
            // with the same time, as copying tools do that keep it.
            if (!Shared.TryGetValue(identity, out CpuWeights? weights) || !weights._file.HasContentOf(file))
            {
                weights = new CpuWeights(identity, file);
                Shared[identity] = weights;
            }

            weights._owners++;
            if (!ReferenceEquals(weights._file, file))
            {
                file.Dispose();
            }

            return weights;
        }
    }

    /// <summary>Ends one owner's use.</summary>
    public void Dispose()
    {
        lock (Sharing)
        {
            if (--_owners > 0)
            {
                return;
            }

            if (Shared.GetValueOrDefault(_identity) == this)
            {
                Shared.Remove(_identity);
            }
        }

        _memory.Dispose();
        _file.Dispose();
    }

    /// <summary>A linear layer's weight matrix (n, k) and its bias (n) if it has one, packed.</summary>
    public PackedWeights Packed(string weightKey, string? biasKey, int n, int k)
    {
        lock (_lock)
        {
            if (!_packed.TryGetValue(weightKey, out PackedWeights? packed))
            {
                float[] bias = new float[biasKey is null ? 0 : n];
                if (biasKey is not null)
                {
                    Read(biasKey, 0, bias);
                }

                packed = new PackedWeights(_memory, n, k, bias, (row, rows) => Read(weightKey, (long)row * k, rows));
                _packed.Add(weightKey, packed);
            }

            return packed;
        }
    }

    /// <summary>A tensor as it is in the file, in float32.</summary>
    public nint Raw(string key, long count)
    {
        lock (_lock)
        {
            if (!_raw.TryGetValue(key, out nint address))
            {
                if (count > int.MaxValue)
                {
                    throw new ModelFileException($"{_file.Path}: tensor \"{key}\" has {count:N0} elements; at most {int.MaxValue:N0} are supported here");
                }

                address = (nint)_memory.Take(count * sizeof(float));
                Read(key, 0, new Span<float>((float*)address, (int)count));
                _raw.Add(key, address);
            }

            return address;
        }
    }

    /// <summary>A tensor with one value everywhere.</summary>
    public nint Constant(float value, long count)
    {
        lock (_lock)
        {
            string key = FormattableString.Invariant($"constant {value:R} × {count}");
            if (!_raw.TryGetValue(key, out nint address))
            {
                address = (nint)_memory.Take(count * sizeof(float));
                new Span<float>((float*)address, checked((int)count)).Fill(value);
                _raw.Add(key, address);
            }

            return address;
        }
    }

    private void Read(string key, long first, Span<float> values)
    {
        _file.ReadFloat32(key, first, values);
        int bad = Finite.FirstNonFinite(values);
        if (bad >= 0)
        {
            throw new ModelFileException(
                $"{_file.Path}: tensor \"{key}\" holds {values[bad]} at index {first + bad}; weights must be finite, convert the checkpoint again");
        }
    }
}
