using KernelAD.Graph;
using KernelAD.Tensors;

namespace KernelAD.Models;

/// <summary>
/// ResNet-18 (He et al., arXiv 1512.03385; keys of torchvision under a prefix) as a frozen feature extractor: the outputs of layers 1 to 3, at 1/4, 1/8 and 1/16 of
/// the picture. Values are (N, H, W, C).
/// </summary>
/// <param name="prefix">What stands before torchvision's keys, "backbone." for instance.</param>
/// <param name="width">Channels of the first convolution and of layer 1, published 64; each further layer has twice as many.</param>
internal sealed class ResNet18(string prefix, int width)
{
    /// <summary>Layers whose outputs are taken.</summary>
    public const int Layers = 3;

    /// <summary>Side of the picture over that of layer 1's output.</summary>
    public const int Reduction = 4;

    private const int BlocksPerLayer = 2;
    private const double Epsilon = 1e-5;

    /// <summary>The parameters. Layer 4 and the classifier are not among them: nothing reads their results.</summary>
    public IEnumerable<TensorSpec> Tensors =>
    [
        .. Convolution("conv1", "bn1", width, 3, kernel: 7),
        .. Blocks().SelectMany(b => (IEnumerable<TensorSpec>)
        [
            .. Convolution(b.Key + ".conv1", b.Key + ".bn1", b.Outputs, b.Inputs, kernel: 3),
            .. Convolution(b.Key + ".conv2", b.Key + ".bn2", b.Outputs, b.Outputs, kernel: 3),
            .. b.Stride == 1 ? [] : Convolution(b.Key + ".downsample.0", b.Key + ".downsample.1", b.Outputs, b.Inputs, kernel: 1),
        ]),
    ];

    /// <summary>Writes the network up to layer 3.</summary>
    /// <param name="g">Receives it; every stage is a tap under torchvision's name, channels first.</param>
    /// <param name="picture">The normalised pictures (N, 3, H, W).</param>
    /// <returns>The outputs of layers 1, 2 and 3.</returns>
    public IReadOnlyList<Node> Build(GraphBuilder g, Node picture)
    {
        Node x = g.Convolution(g.Permute(picture, 0, 2, 3, 1), prefix + "conv1", stride: 2, Padding.Same(3));
        Tap(g, "conv1", x);
        x = g.MaxPool(g.Relu(Norm(g, x, "bn1")), kernel: 3, stride: 2, padding: 1);
        Tap(g, "maxpool", x);
        List<Node> features = [];
        foreach ((string key, int layer, int block, int stride, _, _) in Blocks())
        {
            x = BasicBlock(g, x, key, stride);
            if (block == BlocksPerLayer - 1)
            {
                features.Add(x);
                Tap(g, $"layer{layer}", x);
            }
        }

        return features;
    }

    private Node BasicBlock(GraphBuilder g, Node x, string key, int stride)
    {
        Node y = g.Relu(Norm(g, g.Convolution(x, $"{prefix}{key}.conv1", stride, Padding.Same(1)), key + ".bn1"));
        y = Norm(g, g.Convolution(y, $"{prefix}{key}.conv2", stride: 1, Padding.Same(1)), key + ".bn2");
        Node shortcut = stride == 1 ? x : Norm(g, g.Convolution(x, $"{prefix}{key}.downsample.0", stride, default), key + ".downsample.1");
        return g.Relu(g.Add(y, shortcut));
    }

    private Node Norm(GraphBuilder g, Node x, string key) => g.BatchNorm(x, prefix + key, Epsilon);

    private static void Tap(GraphBuilder g, string name, Node x) => g.Tap(name, g.Permute(x, 0, 3, 1, 2));

    /// <summary>The basic blocks in order. The first of layers 2 and 3 halves the picture and doubles the channels, on its shortcut by a convolution of its own.</summary>
    private IEnumerable<(string Key, int Layer, int Block, int Stride, int Inputs, int Outputs)> Blocks()
    {
        for (int layer = 1; layer <= Layers; layer++)
        {
            int outputs = width << (layer - 1);
            for (int block = 0; block < BlocksPerLayer; block++)
            {
                bool halves = layer > 1 && block == 0;
                yield return ($"layer{layer}.{block}", layer, block, halves ? 2 : 1, halves ? outputs / 2 : outputs, outputs);
            }
        }
    }

    /// <summary>A convolution without bias and the batch normalisation after it.</summary>
    private IEnumerable<TensorSpec> Convolution(string key, string norm, int outputs, int inputs, int kernel) =>
    [
        new($"{prefix}{key}.weight", new Shape(outputs, inputs, kernel, kernel)),
        .. LayerTensors.BatchNorm(prefix + norm, outputs),
    ];
}
