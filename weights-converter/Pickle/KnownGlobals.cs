using System.Collections.Frozen;
using System.Text;
using KernelAD.Tensors;

namespace KernelAD.WeightsConverter.Pickle;

/// <summary>What calling or instantiating a known global means.</summary>
internal enum GlobalKind
{
    /// <summary>Data only: a dtype, a class that appears as a value.</summary>
    Inert,

    /// <summary>A class whose objects carry nothing of use.</summary>
    Opaque,

    /// <summary>dict, OrderedDict, defaultdict, Counter.</summary>
    Dict,

    /// <summary>A class whose attributes are plain data: EasyDict, Namespace.</summary>
    AttributeDict,

    /// <summary>list, set, frozenset, deque.</summary>
    List,

    /// <summary>tuple, torch.Size.</summary>
    Tuple,

    /// <summary>A path: its parts joined by slashes.</summary>
    Path,

    /// <summary>_codecs.encode: text to bytes.</summary>
    Encode,

    /// <summary>copyreg._reconstructor: an object of a known class without its constructor.</summary>
    Reconstruct,

    /// <summary>numpy scalar.</summary>
    NumpyScalar,

    /// <summary>A storage class.</summary>
    Storage,

    /// <summary>torch._utils._rebuild_tensor and _rebuild_tensor_v2.</summary>
    Tensor,

    /// <summary>torch._utils._rebuild_tensor_v3: an untyped storage and an explicit dtype.</summary>
    TensorWithType,

    /// <summary>torch._utils._rebuild_parameter: a tensor and flags.</summary>
    Parameter,

    /// <summary>torch._tensor._rebuild_from_type_v2: another rebuild function and its arguments.</summary>
    Indirect,
}

/// <summary>
/// The fixed list of globals that a checkpoint may name, and what each does to plain data. Nothing is looked up outside this list and nothing is
/// ever executed: each entry is a few lines below.
/// </summary>
internal static class KnownGlobals
{
    private static readonly FrozenDictionary<string, PickleGlobal> Table = Build().ToFrozenDictionary(g => g.Name, StringComparer.Ordinal);

    /// <summary>The known global of that module and name.</summary>
    /// <exception cref="PickleException">It is not in the list.</exception>
    public static PickleGlobal Resolve(string module, string name)
    {
        string full = $"{module}.{name}";
        return Table.TryGetValue(full, out PickleGlobal? global)
            ? global
            : throw new PickleException(
                $"the pickle asks for \"{(full.Length <= 120 ? full : full[..120] + "…")}\", which is not in the list of known globals; nothing was executed. "
                + "If the file holds a whole module or training objects, save only its state_dict: torch.save(model.state_dict(), path)");
    }

    /// <summary>Evaluates <c>global(*arguments)</c>.</summary>
    /// <param name="global">The global.</param>
    /// <param name="arguments">Its positional arguments.</param>
    /// <param name="charge">Called with the number of items that are about to be copied.</param>
    public static object? Call(PickleGlobal global, object?[] arguments, Action<long> charge)
    {
        switch (global.Kind)
        {
            case GlobalKind.Dict or GlobalKind.AttributeDict:
                PickleDict dict = new(global.Kind == GlobalKind.AttributeDict);
                foreach (object? argument in arguments)
                {
                    Fill(dict, argument, charge);
                }

                return dict;

            case GlobalKind.List:
                PickleList list = new();
                if (arguments is [not null, ..])
                {
                    object?[] items = Items(global, arguments[0]);
                    charge(items.Length);
                    list.Items.AddRange(items);
                }

                return list;

            case GlobalKind.Tuple:
                object?[] parts = arguments is [] ? [] : Items(global, arguments[0]);
                charge(parts.Length);
                return new PickleTuple(parts);

            case GlobalKind.Path:
                charge(arguments.Sum(a => (long)((a as string)?.Length ?? 0)));
                return string.Join('/', arguments.OfType<string>());

            case GlobalKind.Encode when arguments is [string text, ..]:
                charge(text.Length / 16);
                return (arguments.Length > 1 ? arguments[1] as string : "utf-8") is "latin1" or "latin-1" or "iso-8859-1"
                    ? Encoding.Latin1.GetBytes(text)
                    : Encoding.UTF8.GetBytes(text);

            case GlobalKind.Reconstruct when arguments is [PickleGlobal type, ..]:
                return Call(type, [], charge);

            case GlobalKind.NumpyScalar when arguments is [PickleOpaque type, byte[] bytes]:
                return NumpyScalar(type, bytes) ?? new PickleOpaque("numpy scalar");

            case GlobalKind.Tensor when arguments is [StorageRef storage, _, _, _, ..]:
                return Tensor(storage, storage.Type, arguments);

            case GlobalKind.TensorWithType when arguments is [StorageRef storage, _, _, _, _, _, PickleGlobal { Storage: StorageType type }, ..]:
                return Tensor(storage, type, arguments);

            case GlobalKind.Parameter when arguments is [TensorRef tensor, ..]:
                return tensor;

            case GlobalKind.Indirect when arguments is [PickleGlobal { Kind: GlobalKind.Tensor or GlobalKind.TensorWithType or GlobalKind.Parameter } rebuild, _, PickleTuple inner, ..]:
                return Call(rebuild, inner.Items, charge);

            case GlobalKind.Opaque:
                return new PickleOpaque(global.Name);

            default:
                throw new PickleException($"\"{global.Name}\" is called with arguments that do not belong to it: the file is damaged");
        }
    }

    private static TensorRef Tensor(StorageRef storage, StorageType type, object?[] arguments) =>
        arguments[1] is long offset
            ? new TensorRef(storage, type.Name, type.Element, type.ElementSize, offset, Integers(arguments[2]), Integers(arguments[3]))
            : throw new PickleException("a tensor's offset is not an integer: the file is damaged");

    private static long[] Integers(object? tuple)
    {
        const int MaxRank = 64;
        object?[] items = (tuple as PickleTuple)?.Items ?? throw new PickleException("a tensor's shape is not a tuple: the file is damaged");
        return items.Length <= MaxRank && items.All(i => i is long)
            ? [.. items.Cast<long>()]
            : throw new PickleException($"a tensor's shape is not a tuple of at most {MaxRank} integers: the file is damaged");
    }

    private static void Fill(PickleDict dict, object? argument, Action<long> charge)
    {
        switch (argument)
        {
            case PickleDict other:
                charge(other.Items.Count);
                foreach ((object key, object? value) in other.Items.ToArray())
                {
                    dict.Set(key, value);
                }

                break;
            case PickleList or PickleTuple:
                object?[] pairs = argument is PickleList list ? [.. list.Items] : ((PickleTuple)argument).Items;
                charge(pairs.Length);
                foreach (object? pair in pairs)
                {
                    object?[] item = (pair as PickleTuple)?.Items ?? (pair as PickleList)?.Items.ToArray() ?? [];
                    if (item is not [object key, object value])
                    {
                        throw new PickleException("a dictionary is made from something else than pairs: the file is damaged");
                    }

                    dict.Set(key, value);
                }

                break;
            default:
                // defaultdict's factory, None.
                break;
        }
    }

    private static object?[] Items(PickleGlobal global, object? argument) => argument switch
    {
        PickleTuple tuple => tuple.Items,
        PickleList list => [.. list.Items],
        _ => throw new PickleException($"\"{global.Name}\" is made from something that is not a sequence: the file is damaged"),
    };

    /// <summary>Value of a numpy scalar of a common type, null for other types.</summary>
    private static object? NumpyScalar(PickleOpaque type, byte[] bytes)
    {
        // numpy.dtype('f8', False, True) keeps its name in State until BUILD replaces it by (version, byte order, …).
        (string name, bool bigEndian) = type.State switch
        {
            PickleTuple { Items: [string code, PickleTuple { Items: [_, string order, ..] }] } => (code, order == ">"),
            PickleTuple { Items: [string code, ..] } => (code, false),
            _ => ("", false),
        };
        if (bigEndian)
        {
            bytes = [.. bytes.Reverse()];
        }

        return (name.TrimStart('<', '|', '='), bytes.Length) switch
        {
            ("f8", 8) => BitConverter.ToDouble(bytes),
            ("f4", 4) => (double)BitConverter.ToSingle(bytes),
            ("i8", 8) => BitConverter.ToInt64(bytes),
            ("i4", 4) => (long)BitConverter.ToInt32(bytes),
            ("b1", 1) => bytes[0] != 0,
            _ => null,
        };
    }

    private static IEnumerable<PickleGlobal> Build()
    {
        (string Storage, string[] Types, int Size, ElementType? Element)[] storages =
        [
            ("Double", ["float64", "double"], 8, ElementType.F64),
            ("Float", ["float32", "float"], 4, ElementType.F32),
            ("Half", ["float16", "half"], 2, ElementType.F16),
            ("BFloat16", ["bfloat16"], 2, ElementType.BF16),
            ("Long", ["int64", "long"], 8, ElementType.I64),
            ("Int", ["int32", "int"], 4, ElementType.I32),
            ("Short", ["int16", "short"], 2, ElementType.I16),
            ("Char", ["int8"], 1, ElementType.I8),
            ("Byte", ["uint8"], 1, ElementType.U8),
            ("Bool", ["bool"], 1, ElementType.Bool),
            ("ComplexFloat", ["complex64", "cfloat"], 8, null),
            ("ComplexDouble", ["complex128", "cdouble"], 16, null),
            ("QInt8", ["qint8"], 1, null),
            ("QUInt8", ["quint8"], 1, null),
            ("QInt32", ["qint32"], 4, null),
        ];
        foreach ((string storage, string[] types, int size, ElementType? element) in storages)
        {
            StorageType type = new(storage + "Storage", size, element);
            yield return new($"torch.{type.Name}", GlobalKind.Storage, type);
            yield return new($"torch.cuda.{type.Name}", GlobalKind.Storage, type);
            foreach (string name in types)
            {
                yield return new($"torch.{name}", GlobalKind.Inert, type with { Name = name });
            }
        }

        StorageType untyped = new("UntypedStorage", 1, ElementType.U8);
        yield return new("torch.storage.UntypedStorage", GlobalKind.Storage, untyped);
        yield return new("torch.UntypedStorage", GlobalKind.Storage, untyped);

        foreach ((GlobalKind kind, string[] names) in new (GlobalKind, string[])[]
        {
            (GlobalKind.Tensor, ["torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"]),
            (GlobalKind.TensorWithType, ["torch._utils._rebuild_tensor_v3"]),
            (GlobalKind.Parameter, ["torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"]),
            (GlobalKind.Indirect, ["torch._tensor._rebuild_from_type_v2"]),
            (GlobalKind.Tuple, ["torch.Size"]),
            (GlobalKind.Opaque, ["torch.device", "torch.Generator"]),
            (GlobalKind.Inert, ["torch.Tensor", "torch.nn.parameter.Parameter", "torch.strided", "torch.contiguous_format"]),
            (GlobalKind.Dict, ["collections.OrderedDict", "collections.defaultdict", "collections.Counter"]),
            (GlobalKind.List, ["collections.deque"]),
            (GlobalKind.AttributeDict,
            [
                "easydict.EasyDict", "argparse.Namespace", "types.SimpleNamespace", "pytorch_lightning.utilities.parsing.AttributeDict",
                "lightning.pytorch.utilities.parsing.AttributeDict", "lightning_fabric.utilities.data.AttributeDict", "lightning.fabric.utilities.data.AttributeDict",
            ]),
            (GlobalKind.Path,
                ["pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath", "pathlib._local.PosixPath", "pathlib._local.WindowsPath"]),
            (GlobalKind.Encode, ["_codecs.encode"]),
            (GlobalKind.Reconstruct, ["copy_reg._reconstructor", "copyreg._reconstructor", "copyreg.__newobj__", "copy_reg.__newobj__"]),
            (GlobalKind.NumpyScalar, ["numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"]),
            (GlobalKind.Opaque,
            [
                "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
                "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer",
            ]),
        })
        {
            foreach (string name in names)
            {
                yield return new(name, kind);
            }
        }

        foreach (string module in new[] { "builtins", "__builtin__" })
        {
            yield return new($"{module}.dict", GlobalKind.Dict);
            foreach (string name in new[] { "list", "set", "frozenset" })
            {
                yield return new($"{module}.{name}", GlobalKind.List);
            }

            yield return new($"{module}.tuple", GlobalKind.Tuple);
            foreach (string name in new[] { "object", "complex", "slice", "range", "bytearray" })
            {
                yield return new($"{module}.{name}", GlobalKind.Opaque);
            }

            foreach (string name in new[] { "int", "long", "float", "bool", "str", "unicode", "bytes" })
            {
                yield return new($"{module}.{name}", GlobalKind.Inert);
            }
        }
    }
}
