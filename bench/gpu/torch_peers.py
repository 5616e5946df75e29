#!/usr/bin/env python3
"""torch_peers.py: times PyTorch and cuBLAS (torch.matmul) on the models and products that KernelAD was timed on. One JSON object a line.

The models are written anew from their papers' figures with torch.nn, weights at random: the same layers, widths and token counts, from a
prepared input on the device to map and score on the device. InTra's inpainting runs over all windows of a picture at once; its difference
maps, under 1 % of the time, are left out. Backbones are torchvision's, whose EfficientNet-B4 pads alike on all sides, as the published one
does not. Batch normalisation is folded into the layers before it, cuDNN tries out its algorithms, and the models with many convolutions run
in channels_last order, input included, except in fp32.

Modes: "graph" (the eager kernels, replayed as one CUDA graph), "eager" and "compiled" (torch.compile). What matters most is timed first, so
that a short --seconds costs the least important.
"""
import argparse
import copy
import json
import math
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

ROUNDS = 7
REPEATS = 20  # of a product in one graph, so that the host has no part in its time
ROUND_MILLISECONDS = 20


def attend(heads, q, k, v, mask=None, scale=None):
    """Attention (batch, tokens, width) from projected queries, keys and values; a mask is added to the logits."""
    q, k, v = (part.view(*part.shape[:2], heads, -1).transpose(1, 2) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale).transpose(1, 2).flatten(2)


def cut(image, side):
    """Patches as tokens, a patch by row, column, channel."""
    batch, channels, height, width = image.shape
    image = image.view(batch, channels, height // side, side, width // side, side)
    return image.permute(0, 2, 4, 3, 5, 1).reshape(batch, height * width // side ** 2, side ** 2 * channels)


def enlarged(grid, size, align_corners):
    """A map (batch, rows, columns) as a picture of one channel."""
    return F.interpolate(grid[:, None], size=(size, size), mode="bilinear", align_corners=align_corners)


def distance(x, y):
    """Euclidean distances of tokens."""
    return torch.linalg.vector_norm(x.float() - y.float(), dim=-1)


class Gaussian(nn.Module):
    """A separable filter of every channel. The border is mirrored, its first pixel included, or zero. Stays in fp32."""

    def __init__(self, sigma, radius, channels=1, mirrored=True):
        super().__init__()
        self.radius, self.channels, self.mirrored = radius, channels, mirrored
        taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1).float() / sigma) ** 2)
        self.register_buffer("taps", (taps / taps.sum()).repeat(channels, 1))

    def forward(self, x):
        r, c = self.radius, self.channels
        down, across = self.taps.view(c, 1, -1, 1), self.taps.view(c, 1, 1, -1)
        if not self.mirrored:
            return F.conv2d(F.conv2d(x, down, padding=(r, 0), groups=c), across, padding=(0, r), groups=c)
        x = F.conv2d(torch.cat((x[:, :, :r].flip(2), x, x[:, :, -r:].flip(2)), 2), down, groups=c)
        return F.conv2d(torch.cat((x[..., :r].flip(3), x, x[..., -r:].flip(3)), 3), across, groups=c)


class Attention(nn.Module):
    def __init__(self, width, heads, bias=True, scale=None):
        super().__init__()
        self.heads, self.scale = heads, scale
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        return self.proj(attend(self.heads, *self.qkv(x).chunk(3, -1), scale=self.scale))


class CrossAttention(Attention):
    """As nn.MultiheadAttention, for queries, keys and values of different tokens; what is the same is projected in one product."""

    def projected(self, x, first, count):
        width = self.proj.in_features
        rows = slice(first * width, (first + count) * width)
        return F.linear(x, self.qkv.weight[rows], self.qkv.bias[rows]).chunk(count, -1)

    def forward(self, queries, keys, values, mask=None):
        if queries is keys and keys is values:
            q, k, v = self.projected(values, 0, 3)
        elif queries is keys:
            (q, k), (v,) = self.projected(keys, 0, 2), self.projected(values, 2, 1)
        elif keys is values:
            (q,), (k, v) = self.projected(queries, 0, 1), self.projected(values, 1, 2)
        else:
            (q,), (k,), (v,) = (self.projected(x, i, 1) for i, x in enumerate((queries, keys, values)))
        return self.proj(attend(self.heads, q.expand(k.shape[0], -1, -1), k, v, mask))


class Reduced(nn.Module):
    """InTra's attention: queries and keys through a two-layer perceptron to half the width."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width // 2))
        self.k = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width // 2))
        self.v = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        return self.proj(attend(self.heads, self.q(x), self.k(x), self.v(x)))


class Block(nn.Module):
    """A layer of a vision transformer: norms come first."""

    def __init__(self, width, attention, hidden=None, epsilon=1e-6):
        super().__init__()
        hidden = hidden or 4 * width
        self.norm1 = nn.LayerNorm(width, eps=epsilon)
        self.attention = attention
        self.norm2 = nn.LayerNorm(width, eps=epsilon)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Layer(nn.Module):
    """A layer as in DETR: so many attentions, then the perceptron; norms come last, positions go to queries and keys."""

    def __init__(self, width, heads, hidden, activation, attentions):
        super().__init__()
        self.attentions = nn.ModuleList(CrossAttention(width, heads) for _ in range(attentions))
        self.mlp = nn.Sequential(nn.Linear(width, hidden), activation(), nn.Linear(hidden, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(attentions + 1))

    def forward(self, x, *seen, position=None, mask=None):
        """For each attention the keys and values that are seen; None: the tokens themselves."""
        for attention, norm, memory in zip(self.attentions, self.norms, seen):
            queries = x if position is None else x + position
            keys, values = memory or (queries, x)
            x = norm(x + attention(queries, keys, values, mask))
        return self.norms[-1](x + self.mlp(x))


class ViTAD(nn.Module):
    """ViT-S/16: a teacher of 12 blocks, a student of 9, cosine distances of three pairs of features, smoothed."""

    size, layout = 256, torch.contiguous_format

    def __init__(self, width=384, heads=6, grid=16):
        super().__init__()
        self.grid = grid
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.teacher_position = nn.Parameter(torch.zeros(1, 1 + grid * grid, width))
        self.student_position = nn.Parameter(torch.zeros(1, grid * grid, width))
        self.teacher = nn.ModuleList(Block(width, Attention(width, heads)) for _ in range(12))
        self.fusion = nn.Linear(width, width)
        self.student = nn.ModuleList(Block(width, Attention(width, heads)) for _ in range(9))
        self.smooth = Gaussian(sigma=4, radius=16)

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(x.shape[0], -1, -1), x), 1) + self.teacher_position
        seen = []
        for i, block in enumerate(self.teacher):
            x = block(x)
            if i in (2, 5, 8):
                seen.append(x[:, 1:])
        x = self.fusion(x[:, 1:]) + self.student_position
        made = []
        for i, block in enumerate(self.student):
            x = block(x)
            if i in (2, 5, 8):
                made.append(x)
        total = 0
        for teacher, student in zip(seen, reversed(made)):
            unlike = 1 - F.cosine_similarity(teacher.float(), student.float(), dim=-1)
            total = total + enlarged(unlike.view(-1, self.grid, self.grid), self.size, align_corners=True)
        total = self.smooth(total / 9)
        return total, F.avg_pool2d(total, 16, 1).amax((1, 2, 3))


class InTra(nn.Module):
    """13 blocks over 256 windows of 7×7 patches a picture; a block's output is added to its mirror image's input."""

    size, layout = 256, torch.contiguous_format

    def __init__(self, width=512, heads=8, grid=16, window=7, blocks=13):
        super().__init__()
        self.grid, self.window = grid, window
        self.embed = nn.Linear(768, width)
        self.covered = nn.Parameter(torch.zeros(1, width))
        self.position = nn.Parameter(torch.zeros(grid * grid, width))
        self.blocks = nn.ModuleList(Block(width, Reduced(width, heads)) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 768)
        cells = torch.arange(grid)
        first = (cells - window // 2).clamp(0, grid - window)
        rows = first[:, None] + torch.arange(window)
        index = (rows[:, None, :, None] * grid + rows[None, :, None, :]).reshape(grid * grid, window * window)
        self.register_buffer("index", index)
        self.register_buffer("hidden", index == torch.arange(grid * grid)[:, None])

    def forward(self, image):
        batch = image.shape[0]
        x = self.embed(cut(image, 16))[:, self.index]
        x = torch.where(self.hidden[None, ..., None], self.covered.to(x.dtype), x) + self.position[self.index]
        x = x.reshape(batch * self.grid ** 2, self.window ** 2, -1)
        kept = []
        half = len(self.blocks) // 2
        for i, block in enumerate(self.blocks):
            if i > half:
                x = x + kept[len(self.blocks) - 1 - i]
            x = block(x)
            if i < half:
                kept.append(x)
        x = self.head(self.norm(x).mean(1)).view(batch, self.grid, self.grid, 16, 16, 3)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(batch, 3, self.size, self.size)


class VTADL(nn.Module):
    """Six blocks over 64 large patches. Ten Gaussians say how unlikely each is; transposed convolutions rebuild the picture."""

    size, layout = 512, torch.channels_last

    def __init__(self, width=512, heads=8, hidden=1024, blocks=6, patch=64, gaussians=10):
        super().__init__()
        self.patch, self.gaussians = patch, gaussians
        self.grid = self.size // patch
        tokens = self.grid ** 2
        self.embed = nn.Linear(3 * patch ** 2, width)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, 1 + tokens, width))
        self.blocks = nn.Sequential(
            *(Block(width, Attention(width, heads, bias=False, scale=width ** -0.5), hidden, 1e-5) for _ in range(blocks))
        )
        self.share = nn.Linear(width, gaussians, bias=False)
        self.mean = nn.Linear(width, width * gaussians, bias=False)
        self.log_variance = nn.Linear(width, width * gaussians, bias=False)
        self.capsule = nn.Linear(tokens * width, 512, bias=False)
        layers, inputs = [], 8
        for outputs, kernel, stride, padding in ((16, 3, 2, 1), (32, 9, 3, 1), (32, 7, 5, 1), (16, 9, 2, 0), (8, 6, 1, 0)):
            layers += (nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding), nn.BatchNorm2d(outputs), nn.ReLU())
            inputs = outputs
        self.decoder = nn.Sequential(*layers, nn.ConvTranspose2d(inputs, 3, 11), nn.Tanh())
        self.smooth = Gaussian(sigma=4, radius=16)
        self.window = Gaussian(sigma=1.5, radius=5, channels=15, mirrored=False)

    def forward(self, image):
        batch = image.shape[0]
        x = torch.cat((self.cls.expand(batch, -1, -1), self.embed(cut(image, self.patch))), 1) + self.position
        x = self.blocks(x)[:, 1:]
        unlikely = self.unlikelihood(x)
        capsule = self.capsule(x.flatten(1)).float()
        square = (capsule * capsule).sum(1, keepdim=True)
        capsule = (capsule * square.sqrt() / (1 + square)).to(image.dtype)
        likeness = self.likeness(self.decoder(capsule.view(batch, 8, 8, 8)), image)
        anomaly = self.smooth(enlarged(unlikely.view(-1, self.grid, self.grid), self.size, align_corners=True))
        return anomaly, likeness + unlikely.amax(1)

    def unlikelihood(self, x):
        """The Gaussians' negative log-likelihoods, weighed as published."""
        shape = (*x.shape, self.gaussians)
        r = F.relu(x)
        share = self.share(r).float().softmax(-1)
        mean = self.mean(r).view(shape).float()
        log_variance = F.softplus(self.log_variance(r).view(shape).float())
        each = (log_variance + (x.float()[..., None] - mean) ** 2 * torch.exp(-log_variance)).sum(-2)
        return (share * 0.5 * (each + math.log(2 * math.pi))).sum(-1)

    def likeness(self, *pictures):
        """Mean squared error and structural similarity, added as published."""
        x, y = (picture.to(torch.float32, memory_format=torch.contiguous_format) for picture in pictures)
        mx, my, xx, yy, xy = self.window(torch.cat((x, y, x * x, y * y, x * y), 1)).chunk(5, 1)
        products, squares = mx * my, mx * mx + my * my
        similarity = (2 * products + 1e-4) * (2 * (xy - products) + 9e-4) / ((squares + 1e-4) * (xx + yy - squares + 9e-4))
        return ((x - y) ** 2 + similarity).mean((1, 2, 3))


class Level(nn.Module):
    """One level of UTRAD. Down: a window's tokens become one token and a narrow skip connection. Up: they are rebuilt from both."""

    def __init__(self, width, heads, hidden, side, layers):
        super().__init__()
        self.side = side
        self.summary = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(side ** 2, width))
        self.query = nn.Parameter(torch.rand(1, side ** 2, width))
        self.encoder = nn.ModuleList(Layer(width, heads, hidden, nn.GELU, attentions=1) for _ in range(layers))
        self.encoder_norm = nn.LayerNorm(width)
        narrow = width // 4
        self.neck = nn.Sequential(
            nn.Linear(width, narrow), nn.LayerNorm(narrow), nn.GELU(), nn.Linear(narrow, width), nn.LayerNorm(width)
        )
        self.decoder = nn.ModuleList(Layer(width, heads, hidden, nn.GELU, attentions=2) for _ in range(layers))
        self.decoder_norm = nn.LayerNorm(width)

    def down(self, grid):
        batch, places, _, width = grid.shape
        side, windows = self.side, places // self.side
        x = grid.view(batch, windows, side, windows, side, width).transpose(2, 3).reshape(-1, side ** 2, width) + self.position
        x = torch.cat((self.summary.expand(x.shape[0], -1, -1), x), 1)
        for layer in self.encoder:
            x = layer(x, None)
        x = self.encoder_norm(x)
        return x[:, 0].view(batch, windows, windows, width), self.neck(x[:, 1:])

    def up(self, summaries, skip):
        batch, windows, _, width = summaries.shape
        side = self.side
        memory = torch.cat((summaries.reshape(-1, 1, width), skip), 1)
        x = self.query
        for layer in self.decoder:
            x = layer(x, None, (memory, memory))
        x = self.decoder_norm(x).view(batch, windows, windows, side, side, width)
        return x.transpose(2, 3).reshape(batch, windows * side, windows * side, width)


class UTRAD(nn.Module):
    """Three levels of windows take ResNet-18's features down to one token and up again; a second head says which error to expect."""

    size, layout = 256, torch.channels_last

    def __init__(self, width=512, heads=8, hidden=2048, side=4, levels=3, layers=4, grid=64):
        super().__init__()
        from torchvision.models import resnet18

        net = resnet18(weights=None)
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.stages = nn.ModuleList((net.layer1, net.layer2, net.layer3))
        self.before = nn.Linear(64 + 128 + 256, width, bias=False)
        self.position = nn.Parameter(torch.zeros(grid, grid, width))
        self.levels = nn.ModuleList(Level(width, heads, hidden, side, layers) for _ in range(levels))
        self.after = nn.Linear(width, 64 + 128 + 256, bias=False)
        head, inputs = [], width
        for outputs in (width, width // 2, width // 4, width // 8):
            head += (nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.LeakyReLU(0.2))
            inputs = outputs
        self.expected = nn.Sequential(*head, nn.Linear(inputs, 1, bias=False))

    def forward(self, image):
        x, seen = self.stem(image), []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            seen.append(F.interpolate(x, scale_factor=2 ** i) if i else x)
        features = torch.cat(seen, 1).permute(0, 2, 3, 1)
        grid, skips = self.before(features) + self.position, []
        for level in self.levels:
            grid, skip = level.down(grid)
            skips.append(skip)
        for level, skip in zip(reversed(self.levels), reversed(skips)):
            grid = level.up(grid, skip)
        error = distance(self.after(grid), features)
        total = error = error / self.expected(grid.flatten(0, 2)).float().abs().view(error.shape)
        for side in (4, 16, 64):
            total = total + enlarged(F.avg_pool2d(error, side), error.shape[-1], align_corners=False)[:, 0]
        anomaly = enlarged(total / 4, self.size, align_corners=False)
        return anomaly, anomaly.amax((1, 2, 3))


class Rebuilding(nn.Module):
    """What ADTR and UniAD share: features of EfficientNet-B4 on one grid, an encoder and a decoder that rebuild them, their distances."""

    layout = torch.channels_last

    def __init__(self, tapped, channels, width=256, heads=8, hidden=1024, layers=4):
        super().__init__()
        from torchvision.models import efficientnet_b4

        self.tapped, self.grid = tapped, self.size // 16
        self.backbone = efficientnet_b4(weights=None).features[:tapped[-1] + 1]
        self.before = nn.Linear(channels, width)
        self.position = nn.Parameter(torch.rand(self.grid ** 2, width))
        self.encoder = nn.ModuleList(Layer(width, heads, hidden, nn.ReLU, attentions=1) for _ in range(layers))
        self.decoder = nn.ModuleList(Layer(width, heads, hidden, nn.ReLU, attentions=2) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.after = nn.Linear(width, channels)

    def forward(self, image):
        x, seen = image, []
        for i, stage in enumerate(self.backbone):
            x = stage(x)
            if i in self.tapped:
                size = (self.grid, self.grid)
                seen.append(x if x.shape[2:] == size else F.interpolate(x, size=size, mode="bilinear", align_corners=True))
        features = torch.cat(seen, 1).flatten(2).transpose(1, 2)
        x = self.before(features)
        for layer in self.encoder:
            x = layer(x, None, position=self.position, mask=self.mask)
        error = distance(self.after(self.norm(self.decoded(x))), features)
        anomaly = enlarged(error.view(-1, self.grid, self.grid), self.size, align_corners=True)
        return anomaly, F.avg_pool2d(anomaly, 16, 1).amax((1, 2, 3))


class ADTR(Rebuilding):
    """Learned queries attend to themselves and to the encoder's output."""

    size = 256
    mask = None

    def __init__(self):
        super().__init__(tapped=(1, 2, 3, 5, 7), channels=24 + 32 + 56 + 160 + 448)
        self.query = nn.Parameter(torch.rand(1, *self.position.shape))

    def decoded(self, memory):
        x, memory = self.query, (memory + self.position, memory)
        for layer in self.decoder:
            x = layer(x, None, memory, position=self.position)
        return x


class UniAD(Rebuilding):
    """Every decoder layer's own queries attend to the encoder's output and to the layer before; no token sees the 7×7 around its place."""

    size = 224

    def __init__(self, neighbourhood=7):
        super().__init__(tapped=(1, 2, 3, 5), channels=24 + 32 + 56 + 160)
        self.query = nn.ParameterList(nn.Parameter(torch.rand(1, *self.position.shape)) for _ in self.decoder)
        cells = torch.arange(self.grid)
        near = (cells[:, None] - cells).abs() <= neighbourhood // 2
        near = (near[:, None, :, None] & near[None, :, None, :]).view(self.grid ** 2, self.grid ** 2)
        self.register_buffer("mask", torch.zeros(near.shape).masked_fill(near, -math.inf))

    def decoded(self, memory):
        memory = before = (memory + self.position, memory)
        for layer, query in zip(self.decoder, self.query):
            x = layer(query, memory, before, position=self.position, mask=self.mask)
            before = (x + self.position, x)
        return x


MODELS = {"vtadl": VTADL, "intra": InTra, "utrad": UTRAD, "adtr": ADTR, "uniad": UniAD, "vitad": ViTAD}


def folded(module):
    """Batch normalisation right behind a convolution or linear layer becomes part of it."""
    names = list(module._modules)
    for first, second in zip(names, names[1:]):
        layer, norm = getattr(module, first), getattr(module, second)
        if isinstance(norm, nn.BatchNorm1d):
            setattr(module, first, nn.utils.fusion.fuse_linear_bn_eval(layer, norm))
            setattr(module, second, nn.Identity())
        elif isinstance(norm, nn.BatchNorm2d):
            transposed = isinstance(layer, nn.ConvTranspose2d)
            setattr(module, first, nn.utils.fusion.fuse_conv_bn_eval(layer, norm, transposed))
            setattr(module, second, nn.Identity())
    for child in module.children():
        folded(child)
    return module


def precise(precision):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return torch.float16 if precision == "fp16" else torch.float32


def prepared(network, precision, batch):
    """The network in a precision and the best order of its values for it, and pictures for it."""
    kind, layout = precise(precision), torch.contiguous_format if precision == "fp32" else network.layout
    network = copy.deepcopy(network).to(dtype=kind, memory_format=layout)
    for part in network.modules():
        if isinstance(part, Gaussian):
            part.float()
    image = torch.rand((batch, 3, network.size, network.size), device=next(network.parameters()).device, dtype=kind)
    return network, image.contiguous(memory_format=layout)


@torch.inference_mode()
def captured(network, image):
    """What replays the network's kernels as one CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            network(image)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network(image)
    return graph.replay


def compiled(network, image):
    """What runs the network compiled for just these pictures."""
    torch.compiler.reset()
    mode = "max-autotune-no-cudagraphs" if image.shape[0] > 8 else "reduce-overhead"
    network = torch.compile(network, dynamic=False, mode=mode)
    return lambda: network(image)


MODES = {"graph": captured, "eager": lambda network, image: lambda: network(image), "compiled": compiled}


@torch.inference_mode()
def milliseconds(work):
    """Median over short rounds, taken with events."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

    def run(count):
        start.record()
        for _ in range(count):
            work()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / count

    count = max(1, min(2000, int(ROUND_MILLISECONDS / max(run(1), 1e-3))))
    return statistics.median(run(count) for _ in range(ROUNDS))


def several(choices):
    """What reads a list of some of the choices."""

    def read(text):
        chosen = text.split(",")
        if unknown := [choice for choice in chosen if choice not in choices]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(choices)}")
        return chosen

    return read


def main():
    arguments = argparse.ArgumentParser()
    for name in ("device", "about", "products", "out"):
        arguments.add_argument("--" + name, required=True)
    arguments.add_argument("--models", type=several(MODELS), default=list(MODELS), help="some of " + ",".join(MODELS))
    arguments.add_argument("--modes", type=several(MODES), default=list(MODES), help="some of " + ",".join(MODES) + ", in any order")
    arguments.add_argument("--batches", type=lambda text: [int(batch) for batch in text.split(",")], help="default: 1,8 and for vitad 32")
    arguments.add_argument("--seconds", type=float, default=math.inf, help="starts no measurement later than this")
    options = arguments.parse_args()
    deadline = time.monotonic() + options.seconds
    torch.cuda.set_device(int(options.device.partition(":")[2] or 0))
    torch.backends.cudnn.benchmark = True
    with open(options.about, encoding="utf-8") as file:
        about = json.loads(file.readline())
    tag = {"measured_on": about["measured_on"], "emulated": about["emulated"], "torch": torch.__version__}
    if torch.cuda.get_device_name() != about["name"]:
        raise SystemExit(f"PyTorch's device is {torch.cuda.get_device_name()}, the run's {about['name']}: set CUDA_DEVICE_ORDER=PCI_BUS_ID")
    precisions = ["fp16", "fp32", "tf32"] if torch.cuda.get_device_capability()[0] >= 8 else ["fp16", "fp32"]
    with open(options.products, encoding="utf-8") as file:
        products = [product for product in map(json.loads, file) if product["chosen"]]
    with open(options.out, "a", encoding="utf-8") as out:

        def write(**members):
            print(json.dumps({**tag, **members}), file=out, flush=True)

        for product in products:
            if time.monotonic() > deadline:
                break
            m, n, k, precision = (product[key] for key in ("m", "n", "k", "precision"))
            kind = precise(precision)
            x, weight = (torch.rand(shape, device=options.device, dtype=kind) * 2 - 1 for shape in ((m, k), (n, k)))
            result = torch.empty((m, n), device=options.device, dtype=kind)
            many = captured(lambda operands: [torch.matmul(operands[0], operands[1].t(), out=result) for _ in range(REPEATS)], (x, weight))
            taken = milliseconds(many) / REPEATS
            write(kind="product", m=m, n=n, k=k, precision=precision, milliseconds=taken, tflops=2e-9 * m * n * k / taken)

        networks = {}
        for name in options.models:
            try:
                networks[name] = folded(MODELS[name]().eval().requires_grad_(False)).to(options.device)
            except (ImportError, RuntimeError) as error:  # torchvision may be missing, or of another version than PyTorch
                write(kind="failed", model=name, error=str(error)[:300])
        jobs = [
            (mode, precision, batch, name)
            for mode in options.modes
            for precision in precisions
            for batch in options.batches or (1, 8, 32)
            for name in networks
            if options.batches or batch <= 8 or name == "vitad"
        ]
        for i, (mode, precision, batch, name) in enumerate(jobs):
            if time.monotonic() > deadline:
                write(kind="out of time", left=len(jobs) - i)
                break
            of = {"model": name, "precision": precision, "batch": batch}
            try:
                network, image = prepared(networks[name], precision, batch)
                write(kind=mode, **of, milliseconds=milliseconds(MODES[mode](network, image)))
            except Exception as error:  # PyTorch's compiler may raise anything; the others are to be timed all the same
                write(kind=mode + " failed", **of, error=str(error)[:300])


if __name__ == "__main__":
    main()
