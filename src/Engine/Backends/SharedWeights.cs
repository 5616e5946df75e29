using System.Collections.Concurrent;
using KernelAD.Backends.Cpu;
using KernelAD.Graph;
using KernelAD.Weights;

namespace KernelAD.Backends;

/// <summary>
/// A model file's weights on a device, in the forms that its kernels want: shared by all plans of a model and by all detectors of the same file on the same
/// device, freed with the last of them.
/// </summary>
internal abstract class SharedWeights : IDisposable
{
    private static readonly Lock Sharing = new();
    private static readonly Dictionary<Place, SharedWeights> Shared = [];

    private readonly ModelFile _file;
    private readonly ConcurrentDictionary<string, Parameter> _derived = new(StringComparer.Ordinal);
    private (string Key, Evaluation Value)? _folded;
    private readonly bool _ownsFile;
    private Place _place;
    private int _owners;

    protected SharedWeights(ModelFile file, bool ownsFile = true)
    {
        _file = file;
        _ownsFile = ownsFile;
    }

    /// <summary>Where the weights come from and where they are. The driver counts by reference; it is null on the CPU.</summary>
    private readonly record struct Place(string File, object? Driver, int Device);

    /// <summary>Ends one owner's use.</summary>
    public void Dispose()
    {
        lock (Sharing)
        {
            if (--_owners > 0)
            {
                return;
            }

            if (Shared.GetValueOrDefault(_place) == this)
            {
                Shared.Remove(_place);
            }
        }

        Free();
        ReleaseFolded();
        if (_ownsFile)
        {
            _file.Dispose();
        }
    }

    /// <summary>The weights of a file: the ones in use if some detector has them already, otherwise new ones that take over <paramref name="file"/>.</summary>
    /// <param name="file">The file; not to be disposed by the caller, whatever happens.</param>
    /// <param name="driver">The device's driver; null on the CPU.</param>
    /// <param name="device">The device's ordinal.</param>
    /// <param name="create">Makes new ones.</param>
    protected static T Of<T>(ModelFile file, object? driver, int device, Func<ModelFile, T> create)
        where T : SharedWeights
    {
        Place place = new(FormattableString.Invariant($"{Path.GetFullPath(file.Path)}|{file.LastWriteTimeUtc.Ticks}"), driver, device);
        lock (Sharing)
        {
            // The time shows a file that was written over, of which both handles see the new content; the content one that was replaced by another
            // with the same time, as copying tools do that keep it.
            if (!Shared.TryGetValue(place, out SharedWeights? weights) || !weights._file.HasContentOf(file))
            {
                try
                {
                    weights = create(file);
                }
                catch
                {
                    file.Dispose();
                    throw;
                }

                weights._place = place;
                Shared[place] = weights;
            }

            weights._owners++;
            if (!ReferenceEquals(weights._file, file))
            {
                file.Dispose();
            }

            return (T)weights;
        }
    }

    /// <summary>The file's path, for messages.</summary>
    protected string FilePath => _file.Path;

    /// <summary>Frees what the last owner had.</summary>
    protected abstract void Free();

    /// <summary>Makes known the parameters of a graph that are no tensors of the file, so that they can be read by their keys.</summary>
    public void Define(ComputeGraph graph)
    {
        foreach (Parameter derived in graph.Nodes.Select(n => n.Operator).OfType<Parameter>().Where(p => p is Table or Folded))
        {
            _derived.TryAdd(derived.Key, derived);
        }
    }

    /// <summary>Frees what was computed last, under the lock of the derived type; to be called when a plan has all of its weights.</summary>
    protected void ReleaseFolded()
    {
        _folded?.Value.Dispose();
        _folded = null;
    }

    /// <summary>Reads part of a tensor, under the lock of the derived type.</summary>
    /// <exception cref="ModelFileException">A value is not finite.</exception>
    protected void Read(string key, long first, Span<float> values)
    {
        if (_derived.TryGetValue(key, out Parameter? derived))
        {
            ReadOnlySpan<float> all = derived is Table table ? table.Values : Compute((Folded)derived);
            all.Slice((int)first, values.Length).CopyTo(values);
        }
        else
        {
            _file.ReadFloat32(key, first, values);
        }

        int bad = Finite.FirstNonFinite(values);
        if (bad >= 0)
        {
            throw new ModelFileException(
                $"{_file.Path}: tensor \"{key}\" holds {values[bad]} at index {first + bad}; weights must be finite, convert the checkpoint again");
        }
    }

    /// <summary>A folded parameter's values. Weights are read a panel at a time, one weight after the other: the last one computed is kept.</summary>
    private ReadOnlySpan<float> Compute(Folded parameter)
    {
        if (_folded?.Key != parameter.Key)
        {
            ReleaseFolded();
            _folded = (parameter.Key, new Evaluation(parameter.Recipe, _file));
        }

        return _folded.Value.Value.Values;
    }
}
