using KernelAD.Graph;
using KernelAD.Tensors;

namespace KernelAD.Export;

/// <summary>
/// Feature maps. The graph has channels last, ONNX's convolutions have them in the second dimension: such values are kept that way from one operator to the
/// next, and are transposed only where an operator wants the other order, so that a runtime sees the network as PyTorch would export it.
/// </summary>
internal sealed partial class OnnxTranslation
{
    private static readonly int[] ToFirst = [0, 3, 1, 2];
    private static readonly int[] ToLast = [0, 2, 3, 1];

    /// <summary>Values (N, …, C) that exist as (N, C, …), by name.</summary>
    private readonly Dictionary<Node, string> _first = [];

    /// <summary>Values under another name than their own: other nodes' channels-first form, and what was transposed back.</summary>
    private readonly Dictionary<Node, string> _last = [];

    /// <summary>Translates what is better done with channels first.</summary>
    /// <returns>Whether it was.</returns>
    private bool AddChannelsFirst(Node node)
    {
        switch (node.Operator)
        {
            case Convolution { Activation: Activation.None, HasResidual: false } op:
                Convolve("Conv", node, op.HasBias, [op.Padding.Top, op.Padding.Left, op.Padding.Bottom, op.Padding.Right], op.Stride, OnnxAttribute.Of("group", op.Groups));
                return true;
            case Linear { Activation: Activation.None, HasResidual: false } op when node.Shape.Rank == 4 && node.Inputs[1].Shape.Rank == 4:
                Convolve("Conv", node, op.HasBias, [0, 0, 0, 0], stride: 1);
                return true;
            case TransposedConvolution { Activation: Activation.None } op:
                Convolve("ConvTranspose", node, op.HasBias, [op.Padding, op.Padding, op.Padding, op.Padding], op.Stride);
                return true;
            case BatchNorm op:
                ResultFirst(node, "BatchNormalization", [First(node.Inputs[0]), .. node.Inputs.Skip(1).Select(Use)], OnnxAttribute.Of("epsilon", op.Epsilon));
                return true;
            case MaxPool op:
                ResultFirst(
                    node,
                    "MaxPool",
                    [First(node.Inputs[0])],
                    OnnxAttribute.Of("kernel_shape", [op.Kernel, op.Kernel]),
                    OnnxAttribute.Of("strides", [op.Stride, op.Stride]),
                    OnnxAttribute.Of("pads", [op.Padding, op.Padding, op.Padding, op.Padding]));
                return true;
            case Resize { ChannelsLast: true } op:
                Shape y = node.Shape;
                ResultFirst(node, "Resize", [First(node.Inputs[0]), "", "", Integers(y[0], y[3], y[1], y[2])], Interpolation(op));
                return true;
            case Permute op when op.Axes.SequenceEqual(ToLast):
                _first[node] = Use(node.Inputs[0]);
                return true;
            case Permute op when op.Axes.SequenceEqual(ToFirst) && IsFirst(node.Inputs[0]) && !_names.ContainsKey(node):
                _last[node] = First(node.Inputs[0]);
                return true;
            case Reshape when IsFirst(node.Inputs[0]) && node.Shape.Rank > 2 && node.Shape[0] == node.Inputs[0].Shape[0] && node.Shape[-1] == node.Inputs[0].Shape[-1]:
                ResultFirst(node, "Reshape", [First(node.Inputs[0]), Integers([node.Shape[0], node.Shape[-1], .. node.Shape.Extents[1..^1]])]);
                return true;
            case Mean { KeepDimension: true } op when IsFirst(node.Inputs[0]) && op.Axis > 0 && op.Axis < node.Shape.Rank - 1:
                ResultFirst(node, "ReduceMean", [First(node.Inputs[0]), Integers(op.Axis + 1)], OnnxAttribute.Of("keepdims", 1));
                return true;
            case Concat op when op.Axis == node.Shape.Rank - 1 && node.Inputs.Any(IsFirst):
                ResultFirst(node, "Concat", [.. node.Inputs.Select(First)], OnnxAttribute.Of("axis", 1));
                return true;
            case Unary or Affine when IsFirst(node.Inputs[0]):
                BeginFirst(node);
                Elementwise(node, [First(node.Inputs[0])]);
                return true;
            case Binary when node.Inputs.Any(IsFirst) && node.Inputs.All(i => i.Shape.Rank == node.Shape.Rank):
                BeginFirst(node);
                Elementwise(node, [.. node.Inputs.Select(First)]);
                return true;
            default:
                return false;
        }
    }

    private bool IsFirst(Node node) => _first.ContainsKey(node);

    /// <summary>Makes the results that follow the channels-first form of a node.</summary>
    private void BeginFirst(Node node)
    {
        _name += "/first";
        _first[node] = _name;
    }

    private void ResultFirst(Node node, string type, string[] inputs, params OnnxAttribute[] attributes)
    {
        BeginFirst(node);
        Result(type, inputs, attributes);
    }

    /// <summary>A value with its channels in the second dimension.</summary>
    private string First(Node node)
    {
        if (!_first.TryGetValue(node, out string? name))
        {
            string last = Use(node);
            name = NameOf(node) + "/first";
            int rank = node.Shape.Rank;
            _graph.AddNode("Transpose", [name], [last], OnnxAttribute.Of("perm", [0, rank - 1, .. Enumerable.Range(1, rank - 2)]));
            _first.Add(node, name);
        }

        return name;
    }

    /// <summary>A value that so far exists with its channels first only, as the graph has it.</summary>
    private string Last(Node node)
    {
        string name = NameOf(node);
        int rank = node.Shape.Rank;
        _graph.AddNode("Transpose", [name], [_first[node]], OnnxAttribute.Of("perm", [0, .. Enumerable.Range(2, rank - 2), 1]));
        _last.Add(node, name);
        return name;
    }

    private void Convolve(string type, Node node, bool hasBias, int[] pads, int stride, params OnnxAttribute[] attributes)
    {
        Shape kernel = node.Inputs[1].Shape;
        string[] inputs = [First(node.Inputs[0]), Use(node.Inputs[1]), .. hasBias ? [Use(node.Inputs[2])] : Array.Empty<string>()];
        ResultFirst(
            node,
            type,
            inputs,
            [
                OnnxAttribute.Of("kernel_shape", [kernel[2], kernel[3]]),
                OnnxAttribute.Of("strides", [stride, stride]),
                OnnxAttribute.Of("pads", pads),
                .. attributes,
            ]);
    }
}
