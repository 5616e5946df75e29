using KernelAD.WeightsConverter.Archives;
using KernelAD.WeightsConverter.Pickle;

namespace KernelAD.WeightsConverter.Layouts;

/// <summary>The tensors of a checkpoint by name, found under whatever the training code wrapped them in.</summary>
internal sealed class StateDict
{
    /// <summary>Entries under which training codes keep their weights, in order of preference; the last is the file's own dictionary.</summary>
    private static readonly string[] Wrappers = ["net", "teacher", "state_dict", "model", "model_state_dict", "transformer"];

    /// <summary>Prefixes that parallel training and compilation put before every key.</summary>
    private static readonly string[] Prefixes = ["module.", "_orig_mod."];

    private readonly Dictionary<string, WeightTensor> _tensors;

    private StateDict(string path, Dictionary<string, WeightTensor> tensors)
    {
        FilePath = path;
        _tensors = tensors;
    }

    /// <summary>The file.</summary>
    public string FilePath { get; }

    /// <summary>The tensors.</summary>
    public IReadOnlyDictionary<string, WeightTensor> Tensors => _tensors;

    /// <summary>Finds the state dictionary of a file; null if it has none.</summary>
    public static StateDict? Find(CheckpointFile file)
    {
        if (file.Root is not PickleDict root)
        {
            return null;
        }

        PickleDict? found = Wrappers.Select(w => root[w]).OfType<PickleDict>().Append(root).FirstOrDefault(d => d.Items.Any(i => i.Value is TensorRef));
        if (found is null)
        {
            return null;
        }

        KeyValuePair<string, TensorRef>[] views =
            [.. found.Items.Where(i => i is { Key: string, Value: TensorRef }).Select(i => new KeyValuePair<string, TensorRef>((string)i.Key, (TensorRef)i.Value!))];
        int skip = CommonPrefix(file.FilePath, views);
        Dictionary<string, WeightTensor> tensors = new(StringComparer.Ordinal);
        foreach ((string key, TensorRef view) in views)
        {
            tensors[key[skip..]] = new CheckpointTensor(file, key[skip..], view);
        }

        return new StateDict(file.FilePath, tensors);
    }

    /// <summary>The tensors under a prefix, which is dropped; itself if there are none.</summary>
    public StateDict Under(string prefix)
    {
        Dictionary<string, WeightTensor> inner = _tensors
            .Where(t => t.Key.StartsWith(prefix, StringComparison.Ordinal))
            .ToDictionary(t => t.Key[prefix.Length..], t => t.Value, StringComparer.Ordinal);
        return inner.Count > 0 ? new StateDict(FilePath, inner) : this;
    }

    /// <summary>This dictionary and the tensors of another under a prefix.</summary>
    public StateDict With(string prefix, StateDict other)
    {
        Dictionary<string, WeightTensor> all = new(_tensors, StringComparer.Ordinal);
        foreach ((string key, WeightTensor tensor) in other._tensors)
        {
            all[prefix + key] = tensor;
        }

        return new StateDict(FilePath, all);
    }

    /// <summary>This dictionary with one tensor replaced.</summary>
    public StateDict With(WeightTensor tensor) => new(FilePath, new(_tensors, StringComparer.Ordinal) { [tensor.Name] = tensor });

    /// <summary>The same tensors under other names.</summary>
    /// <param name="rename">Gives the new name of each.</param>
    /// <exception cref="CheckpointException">Two of them get the same name.</exception>
    public StateDict Renamed(Func<string, string> rename)
    {
        Dictionary<string, WeightTensor> renamed = new(StringComparer.Ordinal);
        foreach ((string key, WeightTensor tensor) in _tensors)
        {
            string name = rename(key);
            if (!renamed.TryAdd(name, tensor))
            {
                throw new CheckpointException(
                    $"{FilePath}: tensors \"{Names.Quote(renamed[name].Name)}\" {renamed[name].Shape} and \"{Names.Quote(key)}\" {tensor.Shape} "
                    + $"are both \"{Names.Quote(name)}\"; give a checkpoint that holds it once");
            }
        }

        return new StateDict(FilePath, renamed);
    }

    /// <summary>Whether there is a tensor of that name.</summary>
    public bool Has(string key) => _tensors.ContainsKey(key);

    /// <summary>Whether a name begins like this.</summary>
    public bool HasPrefix(string prefix) => _tensors.Keys.Any(k => k.StartsWith(prefix, StringComparison.Ordinal));

    /// <summary>Extents of a tensor that the configuration is inferred from.</summary>
    /// <param name="key">The tensor.</param>
    /// <param name="rank">The number of dimensions it must have.</param>
    /// <exception cref="CheckpointException">It is missing or has another number of dimensions.</exception>
    public int[] Extents(string key, int rank)
    {
        if (!_tensors.TryGetValue(key, out WeightTensor? tensor))
        {
            throw new CheckpointException($"{FilePath}: tensor \"{key}\" is missing, the configuration cannot be inferred without it. Found: {Names.List(_tensors.Keys)}");
        }

        return tensor.Shape.Rank == rank
            ? tensor.Shape.Extents.ToArray()
            : throw new CheckpointException($"{FilePath}: tensor \"{key}\" has shape {tensor.Shape}, expected {rank} dimensions");
    }

    /// <summary>A tensor and its shape, for a message: "name" has shape (…).</summary>
    public string Describe(string key) => $"\"{key}\" has shape {_tensors[key].Shape}";

    /// <summary>Number of blocks: the highest number after a prefix, plus one.</summary>
    public int CountBlocks(string prefix)
    {
        int count = 0;
        foreach (string key in _tensors.Keys.Where(k => k.StartsWith(prefix, StringComparison.Ordinal)))
        {
            int end = key.IndexOf('.', prefix.Length);
            if (end > 0 && int.TryParse(key.AsSpan(prefix.Length, end - prefix.Length), out int block) && block < int.MaxValue)
            {
                count = Math.Max(count, block + 1);
            }
        }

        return count;
    }

    private static int CommonPrefix(string path, KeyValuePair<string, TensorRef>[] views)
    {
        int skip = 0;
        while (Prefixes.FirstOrDefault(p => views.Any(v => Has(v, p))) is string prefix)
        {
            KeyValuePair<string, TensorRef>[] without = [.. views.Where(v => !Has(v, prefix))];
            if (without.Length > 0)
            {
                throw new CheckpointException(
                    $"{path}: of {views.Length} tensors {views.Length - without.Length} begin with \"{prefix}\", such as {Describe(views.First(v => Has(v, prefix)))}, "
                    + $"and {without.Length} do not, such as {Describe(without[0])}: two checkpoints seem to be mixed in one file. Save the state_dict of one model.");
            }

            skip += prefix.Length;
        }

        return skip;

        bool Has(KeyValuePair<string, TensorRef> view, string prefix) => view.Key.AsSpan(skip).StartsWith(prefix, StringComparison.Ordinal);

        static string Describe(KeyValuePair<string, TensorRef> view) => $"\"{Names.Quote(view.Key)}\" ({string.Join(", ", view.Value.Shape)})";
    }
}
