using System.Runtime.InteropServices;
using KernelAD.Weights;

namespace KernelAD.Backends.Cpu;

/// <summary>
/// A model file's weights as the CPU kernels want them, in native memory: linear layers packed into panels, the rest as it is. Each tensor is read and
/// packed when a plan first asks for it, and its raw form released at once, so peak memory is the weights plus one tensor. Shared by all plans of a
/// model and by all detectors of the same file; freed with the last of them.
/// </summary>
internal sealed unsafe class CpuWeights
{
    private static readonly Lock Sharing = new();
    private static readonly Dictionary<string, CpuWeights> Shared = new(StringComparer.Ordinal);

    private readonly Lock _lock = new();
    private readonly string _identity;
    private readonly ModelFile _file;
    private readonly Dictionary<string, PackedWeights> _packed = new(StringComparer.Ordinal);
    private readonly Dictionary<string, nint> _raw = new(StringComparer.Ordinal);
    private int _owners;

    private CpuWeights(string identity, ModelFile file)
    {
        _identity = identity;
        _file = file;
    }

    /// <summary>Bytes of all weights taken up so far.</summary>
    public long Bytes { get; private set; }

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
    public void Release()
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

        foreach (PackedWeights packed in _packed.Values)
        {
            packed.Dispose();
        }

        foreach (nint address in _raw.Values)
        {
            NativeMemory.AlignedFree((void*)address);
        }

        _file.Dispose();
    }

    /// <summary>A linear layer's weight matrix (n, k) and its bias (n) if it has one, packed.</summary>
    public PackedWeights Packed(string weightKey, string? biasKey, int n, int k)
    {
        lock (_lock)
        {
            if (!_packed.TryGetValue(weightKey, out PackedWeights? packed))
            {
                float* weight = Read(weightKey, (long)n * k), bias = null;
                try
                {
                    bias = biasKey is null ? null : Read(biasKey, n);
                    packed = new PackedWeights(new ReadOnlySpan<float>(weight, n * k), n, k, new ReadOnlySpan<float>(bias, bias is null ? 0 : n));
                }
                finally
                {
                    NativeMemory.AlignedFree(weight);
                    NativeMemory.AlignedFree(bias);
                }

                Bytes += packed.Bytes;
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
                address = (nint)Read(key, count);
                Bytes += count * sizeof(float);
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
                float* memory = Allocate(count);
                new Span<float>(memory, checked((int)count)).Fill(value);
                address = (nint)memory;
                Bytes += count * sizeof(float);
                _raw.Add(key, address);
            }

            return address;
        }
    }

    private float* Read(string key, long count)
    {
        if (count > int.MaxValue)
        {
            throw new ModelFileException($"{_file.Path}: tensor \"{key}\" has {count:N0} elements; at most {int.MaxValue:N0} are supported");
        }

        float* memory = Allocate(count);
        try
        {
            Span<float> values = new(memory, (int)count);
            _file.ReadFloat32(key, values);
            int bad = Finite.FirstNonFinite(values);
            if (bad >= 0)
            {
                throw new ModelFileException(
                    $"{_file.Path}: tensor \"{key}\" holds {values[bad]} at index {bad}; weights must be finite, convert the checkpoint again");
            }

            return memory;
        }
        catch
        {
            NativeMemory.AlignedFree(memory);
            throw;
        }
    }

    private static float* Allocate(long count) => (float*)AlignedMemory.Allocate(count * sizeof(float));
}
