#!/usr/bin/env python3
"""torch_peers.py: times PyTorch (eager and compiled) and cuBLAS (torch.matmul) on the models and products that KernelAD was timed on. One JSON object a line.

The models are written anew from their papers' figures with torch.nn, weights at random: the same layers, widths and token counts, from a prepared input on the device to the map on the
device. InTra's inpainting runs over all windows of a picture at once; its difference maps, under 1 % of the time, are left out.
"""
import argparse
import json
import statistics

import torch
import torch.nn.functional as F
from torch import nn

ROUNDS = 7


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width))


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
        batch, tokens, width = x.shape
        q, k, v = (part.view(batch, tokens, self.heads, -1).transpose(1, 2) for part in (self.q(x), self.k(x), self.v(x)))
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    def __init__(self, width, attention):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = attention
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViTAD(nn.Module):
    """ViT-S/16: a teacher of 12 blocks, a student of 9, cosine distances of three pairs of features, smoothed."""

    size = 256

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
        taps = torch.arange(-16, 17).float()
        weights = torch.exp(-0.5 * (taps / 4) ** 2)
        self.register_buffer("taps", (weights / weights.sum()).view(1, 1, 33, 1))

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
            distance = 1 - F.cosine_similarity(teacher.float(), student.float(), dim=-1)
            distance = distance.view(-1, 1, self.grid, self.grid)
            total = total + F.interpolate(distance, size=(self.size, self.size), mode="bilinear", align_corners=True)
        # SciPy's "reflect" repeats the border: as padding of the two ends, that is a flip of 16 rows.
        total = total / 9
        total = F.conv2d(torch.cat((total[:, :, :16].flip(2), total, total[:, :, -16:].flip(2)), 2), self.taps)
        total = F.conv2d(torch.cat((total[..., :16].flip(3), total, total[..., -16:].flip(3)), 3), self.taps.transpose(2, 3))
        return total, F.avg_pool2d(total, 16, 1).amax((1, 2, 3))


class InTra(nn.Module):
    """13 blocks over 256 windows of 7×7 patches a picture; a block's output is added to its mirror image's input."""

    size = 256

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
        patches = image.view(batch, 3, self.grid, 16, self.grid, 16).permute(0, 2, 4, 3, 5, 1).reshape(batch, self.grid ** 2, 768)
        x = self.embed(patches)[:, self.index]
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
        return self.head(self.norm(x).mean(1)).view(batch, self.grid, self.grid, 16, 16, 3).permute(0, 5, 1, 3, 2, 4).reshape(batch, 3, self.size, self.size)


def milliseconds(work):
    """Median over rounds of about 50 ms each, taken with events."""
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

    count = max(1, min(2000, int(50 / max(run(1), 1e-3))))
    return statistics.median(run(count) for _ in range(ROUNDS))


def precise(precision):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return torch.float16 if precision == "fp16" else torch.float32


def main():
    arguments = argparse.ArgumentParser()
    for name in ("device", "about", "products", "out"):
        arguments.add_argument("--" + name, required=True)
    options = arguments.parse_args()
    torch.cuda.set_device(int(options.device.partition(":")[2] or 0))
    with open(options.about, encoding="utf-8") as file:
        about = json.loads(file.readline())
    tag = {"measured_on": about["measured_on"], "emulated": about["emulated"], "torch": torch.__version__}
    if torch.cuda.get_device_name() != about["name"]:
        raise SystemExit(f"PyTorch's device is {torch.cuda.get_device_name()}, the run's {about['name']}: set CUDA_DEVICE_ORDER=PCI_BUS_ID")
    precisions = ["fp32", "tf32", "fp16"] if torch.cuda.get_device_capability()[0] >= 8 else ["fp32", "fp16"]
    with open(options.out, "a", encoding="utf-8") as out, torch.inference_mode():

        def write(**members):
            print(json.dumps({**tag, **members}), file=out, flush=True)

        with open(options.products, encoding="utf-8") as file:
            products = [json.loads(line) for line in file]
        for product in products:
            m, n, k, precision = (product[key] for key in ("m", "n", "k", "precision"))
            kind = precise(precision)
            x, weight = (torch.rand(shape, device="cuda", dtype=kind) * 2 - 1 for shape in ((m, k), (n, k)))
            result = torch.empty((m, n), device="cuda", dtype=kind)
            time = milliseconds(lambda: torch.matmul(x, weight.t(), out=result))
            write(kind="product", m=m, n=n, k=k, precision=precision, milliseconds=time, tflops=2e-9 * m * n * k / time)
        for name, model, batches in (("vitad", ViTAD, (1, 8, 32)), ("intra", InTra, (1, 8))):
            for precision in precisions:
                network = model().cuda().eval()
                if precise(precision) == torch.float16:
                    network = network.half()
                    if name == "vitad":
                        network.taps = network.taps.float()
                for mode in ("eager", "compiled"):
                    timed = network
                    for batch in batches:
                        image = torch.rand((batch, 3, model.size, model.size), device="cuda", dtype=precise(precision))
                        try:
                            if mode == "compiled":
                                timed = torch.compile(network, mode="max-autotune-no-cudagraphs" if batch > 8 else "reduce-overhead")
                            write(kind=mode, model=name, precision=precision, batch=batch, milliseconds=milliseconds(lambda: timed(image)))
                        except (RuntimeError, torch.OutOfMemoryError) as error:
                            write(kind=mode + " failed", model=name, precision=precision, batch=batch, error=str(error)[:300])


if __name__ == "__main__":
    main()
