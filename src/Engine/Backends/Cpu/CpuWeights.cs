using KernelAD.Weights;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// A model file's weights as the CPU kernels want them, in native memory: linear layers packed into panels, the rest as it is. Each tensor is read and
/// packed when a plan first asks for it, some rows at a time, so peak memory is the weights themselves.
/// </summary>
internal sealed unsafe class CpuWeights : SharedWeights
{
    private readonly Lock _lock = new();
    private readonly MemoryPool _memory = new();
    private readonly Dictionary<string, PackedWeights> _packed = new(StringComparer.Ordinal);
    private readonly Dictionary<string, object> _prepared = new(StringComparer.Ordinal);
    private readonly Dictionary<string, nint> _raw = new(StringComparer.Ordinal);

    private CpuWeights(ModelFile file, bool ownsFile)
        : base(file, ownsFile)
    {
    }

    /// <summary>Bytes of all weights taken up so far.</summary>
    public long Bytes => _memory.Bytes;

    /// <summary>The weights of a file: the ones in use if some detector has them already, otherwise new ones that take over <paramref name="file"/>.</summary>
    public static CpuWeights Of(ModelFile file) => Of(file, driver: null, device: 0, f => new CpuWeights(f, ownsFile: true));

    /// <summary>Weights for a single use, of a file that stays open.</summary>
    public static CpuWeights Borrowing(ModelFile file) => new(file, ownsFile: false);

    /// <summary>To be called when a plan has all of its weights: frees what was only needed to compute them.</summary>
    public void EndLoading()
    {
        lock (_lock)
        {
            ReleaseFolded();
        }
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

    /// <summary>What a step makes of its weight and bias: made once, for all plans.</summary>
    /// <param name="form">What is made, and all that it depends on but the tensors.</param>
    /// <param name="weightKey">The weight.</param>
    /// <param name="biasKey">The bias; null if there is none.</param>
    /// <param name="count">Elements of the weight.</param>
    /// <param name="biasCount">Elements of the bias.</param>
    /// <param name="make">Makes it of the weight and the bias, which is empty if there is none, in memory that lives as long as the weights.</param>
    public T Prepare<T>(string form, string weightKey, string? biasKey, long count, int biasCount, Func<MemoryPool, float[], float[], T> make)
        where T : class
    {
        lock (_lock)
        {
            string key = $"{form} of {weightKey}";
            if (!_prepared.TryGetValue(key, out object? prepared))
            {
                float[] weight = new float[count], bias = new float[biasKey is null ? 0 : biasCount];
                Read(weightKey, 0, weight);
                if (biasKey is not null)
                {
                    Read(biasKey, 0, bias);
                }

                prepared = make(_memory, weight, bias);
                _prepared.Add(key, prepared);
            }

            return (T)prepared;
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
                    throw new ModelFileException($"{FilePath}: tensor \"{key}\" has {count:N0} elements; at most {int.MaxValue:N0} are supported here");
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

    protected override void Free() => _memory.Dispose();
}
