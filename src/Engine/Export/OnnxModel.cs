using System.Runtime.InteropServices;
using KernelAD.Tensors;
using KernelAD.Weights;

namespace KernelAD.Export;

/// <summary>An attribute of an ONNX node.</summary>
internal readonly struct OnnxAttribute
{
    // Fields of AttributeProto and values of AttributeProto.AttributeType.
    private const int NameField = 1, FloatField = 2, IntField = 3, TextField = 4, GraphField = 6, IntsField = 8, TypeField = 20;
    private const int FloatType = 1, IntType = 2, TextType = 3, GraphType = 5, IntsType = 7;

    private readonly Action<ProtobufWriter> _write;

    private OnnxAttribute(string name, int type, Action<ProtobufWriter> value) => _write = message =>
    {
        message.Text(NameField, name);
        value(message);
        message.Integer(TypeField, type);
    };

    public static OnnxAttribute Of(string name, float value) => new(name, FloatType, m => m.Float(FloatField, value));

    public static OnnxAttribute Of(string name, int value) => new(name, IntType, m => m.Integer(IntField, value));

    public static OnnxAttribute Of(string name, string value) => new(name, TextType, m => m.Text(TextField, value));

    public static OnnxAttribute Of(string name, IEnumerable<int> values) => new(name, IntsType, m =>
    {
        foreach (int value in values)
        {
            m.Integer(IntsField, value);
        }
    });

    public static OnnxAttribute Of(string name, OnnxGraph value) => new(name, GraphType, m => m.Bytes(GraphField, value.Written));

    public void WriteTo(ProtobufWriter message) => _write(message);
}

/// <summary>Element types of ONNX tensors, values of TensorProto.DataType.</summary>
internal enum OnnxElement
{
    Float = 1,
    Int64 = 7,
}

/// <summary>A graph's interface and nodes, encoded: a file's main graph or the body of a loop.</summary>
internal sealed class OnnxGraph
{
    // Fields of GraphProto.
    private const int NodeField = 1, NameField = 2, InputField = 11, OutputField = 12;

    private readonly ProtobufWriter _message = new();

    public OnnxGraph(string name) => _message.Text(NameField, name);

    /// <summary>The fields of GraphProto so far.</summary>
    public ReadOnlySpan<byte> Written => _message.Written;

    /// <summary>Declares an input.</summary>
    public void AddInput(string name, Shape shape, OnnxElement type = OnnxElement.Float) => AddInterface(InputField, name, shape, type);

    /// <summary>Declares a result of float32.</summary>
    public void AddOutput(string name, Shape shape) => AddInterface(OutputField, name, shape, OnnxElement.Float);

    /// <summary>Adds a node, named after its first result.</summary>
    public void AddNode(string type, IReadOnlyList<string> outputs, IEnumerable<string> inputs, params OnnxAttribute[] attributes) =>
        _message.Message(NodeField, node => WriteNode(node, type, outputs, inputs, attributes));

    private static void WriteNode(
        ProtobufWriter node, string type, IReadOnlyList<string> outputs, IEnumerable<string> inputs, IReadOnlyList<OnnxAttribute> attributes)
    {
        foreach (string input in inputs)
        {
            node.Text(1, input);
        }

        foreach (string output in outputs)
        {
            node.Text(2, output);
        }

        node.Text(3, outputs[0]);
        node.Text(4, type);
        foreach (OnnxAttribute attribute in attributes)
        {
            node.Message(5, attribute.WriteTo);
        }
    }

    private void AddInterface(int field, string name, Shape shape, OnnxElement element) => _message.Message(field, info =>
    {
        info.Text(1, name);
        info.Message(2, type => type.Message(1, tensor =>
        {
            tensor.Integer(1, (int)element);
            tensor.Message(2, dimensions =>
            {
                foreach (int extent in shape.Extents)
                {
                    dimensions.Message(1, dimension => dimension.Integer(1, extent));
                }
            });
        }));
    });
}

/// <summary>
/// An ONNX file in the making: nodes and interface are kept encoded, the initialisers' values are asked for one tensor at a time while the file is
/// written. Field numbers are those of onnx.proto.
/// </summary>
internal sealed class OnnxModel
{
    /// <summary>The operator set: 20 is the first in which Gelu is one operator.</summary>
    public const int OperatorSet = 20;

    private const int IrVersion = 9;
    private const int InitializerField = 5; // of GraphProto

    private readonly List<Initializer> _initializers = [];
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _metadata;

    public OnnxModel(string name, IReadOnlyDictionary<string, string> metadata)
    {
        _metadata = new(metadata, StringComparer.Ordinal);
        Graph = new OnnxGraph(name);
    }

    /// <summary>The main graph.</summary>
    public OnnxGraph Graph { get; }

    /// <summary>Adds a tensor of float32, unless there is one of that name already.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="values">Called when the file is written; fills the values.</param>
    public string AddTensor(string name, Shape shape, Action<Span<float>> values) => Add(
        name, OnnxElement.Float, shape, checked(shape.Count * sizeof(float)), bytes => values(MemoryMarshal.Cast<byte, float>(bytes.AsSpan())));

    /// <summary>Adds a scalar of float32, unless there is one of that value already.</summary>
    public string AddScalar(float value) => AddTensor(FormattableString.Invariant($"scalar {value:R}"), new Shape(), span => span[0] = value);

    /// <summary>Adds a list of int64 of any shape, unless there is one of that name already.</summary>
    public string AddIntegers(string name, Shape shape, IReadOnlyList<int> values) => Add(name, OnnxElement.Int64, shape, shape.Count * sizeof(long), bytes =>
    {
        Span<long> span = MemoryMarshal.Cast<byte, long>(bytes.AsSpan());
        for (int i = 0; i < span.Length; i++)
        {
            span[i] = values[i];
        }
    });

    /// <summary>Writes the file; it appears complete or not at all.</summary>
    /// <exception cref="BadInputException">The model does not fit into the 2 GB of a protobuf file.</exception>
    /// <exception cref="OutputException">The file cannot be written.</exception>
    public void Write(string path, CancellationToken cancellation)
    {
        long graphBytes = Graph.Written.Length + _initializers.Sum(i => i.Header.Length + i.Bytes);
        byte[] header = Header(graphBytes);
        long total = header.Length + graphBytes;
        if (total > int.MaxValue)
        {
            throw new BadInputException($"{path}: the ONNX file would have {total:N0} bytes, but the format ends at {int.MaxValue:N0}. Use a smaller model.");
        }

        AtomicFile.Write(path, total, AtomicFile.CreateNew, file =>
        {
            file.Write(header);
            file.Write(Graph.Written);
            foreach (Initializer initializer in _initializers)
            {
                cancellation.ThrowIfCancellationRequested();
                file.Write(initializer.Header);
                byte[] bytes = new byte[initializer.Bytes];
                initializer.Fill(bytes);
                file.Write(bytes);
            }
        });
    }

    /// <summary>Everything of ModelProto up to the graph's content, which comes last.</summary>
    private byte[] Header(long graphBytes)
    {
        ProtobufWriter model = new();
        model.Integer(1, IrVersion);
        model.Text(2, "KernelAD");
        model.Message(8, set => set.Integer(2, OperatorSet));
        foreach ((string key, string value) in _metadata.OrderBy(p => p.Key, StringComparer.Ordinal))
        {
            model.Message(14, entry =>
            {
                entry.Text(1, key);
                entry.Text(2, value);
            });
        }

        model.Length(7, graphBytes);
        return model.Written.ToArray();
    }

    private string Add(string name, OnnxElement type, Shape shape, long bytes, Action<byte[]> fill)
    {
        if (_names.Add(name))
        {
            ProtobufWriter tensor = new(), header = new();
            foreach (int extent in shape.Extents)
            {
                tensor.Integer(1, extent);
            }

            tensor.Integer(2, (int)type);
            tensor.Text(8, name);
            tensor.Length(9, bytes);
            header.Length(InitializerField, tensor.Written.Length + bytes);
            _initializers.Add(new Initializer([.. header.Written, .. tensor.Written], bytes, fill));
        }

        return name;
    }

    private sealed record Initializer(byte[] Header, long Bytes, Action<byte[]> Fill);
}
