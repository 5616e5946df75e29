using KernelAD.Tensors;

namespace KernelAD.WeightsConverter.Pickle;

// What a pickle evaluates to. None is null; bool, long, BigInteger, double, string and byte[] stand for themselves. Values may be shared and may
// contain themselves, so nobody walks them recursively.

/// <summary>A tuple.</summary>
internal sealed record PickleTuple(object?[] Items);

/// <summary>A list, a set or a frozen set.</summary>
internal sealed class PickleList
{
    public List<object?> Items { get; } = [];
}

/// <summary>A dictionary, or an object whose attributes are plain data (EasyDict, Namespace).</summary>
internal sealed class PickleDict(bool attributesAreItems = false)
{
    /// <summary>Positions of the string keys; made when the first one comes, since a hostile pickle may hold millions of empty dictionaries.</summary>
    private Dictionary<string, int>? _index;

    /// <summary>Whether the state that a pickle attaches to the object is its content. An OrderedDict's is not: a state_dict's "_metadata".</summary>
    public bool AttributesAreItems { get; } = attributesAreItems;

    /// <summary>The items in order of insertion.</summary>
    public List<KeyValuePair<object, object?>> Items { get; } = new(0);

    /// <summary>Sets an item. Only string keys are looked up later, so only they are kept unique.</summary>
    public void Set(object key, object? value)
    {
        if (key is string name)
        {
            _index ??= new(StringComparer.Ordinal);
            if (_index.TryGetValue(name, out int position))
            {
                Items[position] = new(name, value);
                return;
            }

            _index.Add(name, Items.Count);
        }

        Items.Add(new(key, value));
    }

    /// <summary>The value of a string key, null if there is none.</summary>
    public object? this[string key] => _index is not null && _index.TryGetValue(key, out int position) ? Items[position].Value : null;
}

/// <summary>A name from the fixed list of known globals.</summary>
internal sealed record PickleGlobal(string Name, GlobalKind Kind, StorageType? Storage = null);

/// <summary>An object of a known class that carries nothing of use: a device, a dtype, a numpy array.</summary>
internal sealed class PickleOpaque(string type)
{
    /// <summary>Its class or name.</summary>
    public string Type { get; } = type;

    /// <summary>The last state attached to it.</summary>
    public object? State { get; set; }
}

/// <summary>The class of a storage.</summary>
/// <param name="Name">As PyTorch calls it, "FloatStorage".</param>
/// <param name="ElementSize">Bytes of an element.</param>
/// <param name="Element">The element type, null for one that cannot be converted (complex, quantised).</param>
internal sealed record StorageType(string Name, int ElementSize, ElementType? Element);

/// <summary>A storage that tensors are views of; its bytes lie elsewhere in the checkpoint.</summary>
/// <param name="Key">The key under which the checkpoint holds it.</param>
/// <param name="Type">Its class.</param>
/// <param name="Count">Number of elements.</param>
internal sealed record StorageRef(string Key, StorageType Type, long Count);

/// <summary>A tensor: a strided view of a storage. Nothing is checked yet.</summary>
/// <param name="Storage">The storage.</param>
/// <param name="ElementName">Name of the element type, for messages.</param>
/// <param name="Element">The element type, null if it cannot be converted.</param>
/// <param name="ElementSize">Bytes of an element.</param>
/// <param name="Offset">Index of the first element in the storage.</param>
/// <param name="Shape">Extents.</param>
/// <param name="Strides">Steps in elements.</param>
internal sealed record TensorRef(
    StorageRef Storage, string ElementName, ElementType? Element, int ElementSize, long Offset, long[] Shape, long[] Strides);
