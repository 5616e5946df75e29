#!/usr/bin/env python3
"""fit_tiles.py PRODUCTS.tsv|products.jsonl [MULTIPROCESSORS]: the tiles' costs that LinearTiles chooses cuts by, fitted to measured times.

The model is LinearChoice.Microseconds. Cuts count the more the closer they come to the fastest of their product: only there does the choice between them matter.
Prints, per precision, each tile's Launch, Latency, Work and Store, the mean error, and the regret: how much longer the chosen cuts take than the fastest, as geometric mean.
"""
import csv
import json
import math
import random
import sys

RESIDENT = {"64": 4, "128": 2, "128of8": 2}
REDUCE_LAUNCH, REDUCE_MEGA_ELEMENT = 1.2, 1.1
STEPS = 12000


def cuts(path):
    """Per precision and product its timed cuts."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file] if path.endswith(".jsonl") else list(csv.DictReader(file, delimiter="\t"))
    found = {}
    for row in rows:
        m, n, k, splits, blocks = (int(row[name]) for name in ("m", "n", "k", "splits", "blocks"))
        microseconds = float(row["microseconds"]) if "microseconds" in row else 1000 * row["milliseconds"]
        length = 32 if row["precision"] == "fp16" else 16
        cut = {"tile": row["kernel"].rpartition("_")[2], "tiles": -(-(-(-k // length)) // splits), "splits": splits, "blocks": blocks, "results": m * n, "time": microseconds}
        found.setdefault(row["precision"], {}).setdefault((m, n, k), []).append(cut)
    return found


def estimate(cut, costs, multiprocessors):
    launch, latency, work, store = costs[cut["tile"]]
    full, rest = divmod(-(-cut["blocks"] // multiprocessors), RESIDENT[cut["tile"]])

    def wave(blocks):
        return max(latency, blocks * work) * cut["tiles"] + store * blocks if blocks else 0

    reduce = REDUCE_LAUNCH + REDUCE_MEGA_ELEMENT * 1e-6 * cut["results"] * (cut["splits"] + 1) if cut["splits"] > 1 else 0
    return launch + full * wave(RESIDENT[cut["tile"]]) + wave(rest) + reduce


def error(products, costs, multiprocessors):
    total = weights = 0
    for product in products.values():
        fastest = min(cut["time"] for cut in product)
        for cut in product:
            weight = (fastest / cut["time"]) ** 3
            total += weight * abs(math.log(estimate(cut, costs, multiprocessors) / cut["time"]))
            weights += weight
    return total / weights


def regret(products, costs, multiprocessors):
    losses = [
        math.log(min(product, key=lambda cut: estimate(cut, costs, multiprocessors))["time"] / min(cut["time"] for cut in product)) for product in products.values()
    ]
    return math.exp(sum(losses) / len(losses)) - 1


def main():
    multiprocessors = int(sys.argv[2]) if len(sys.argv) > 2 else 132
    for precision, products in cuts(sys.argv[1]).items():
        chance = random.Random(1)
        tiles = sorted({cut["tile"] for product in products.values() for cut in product})
        start = [4.0, 0.5, 0.4, 0.5] if precision == "fp32" else [3.0, 0.3, 0.25, 1.0]
        costs = {tile: [4 * value if precision == "fp32" and tile != "64" and i == 2 else value for i, value in enumerate(start)] for tile in tiles}

        def badness(candidate):
            return error(products, candidate, multiprocessors) + regret(products, candidate, multiprocessors)

        best = badness(costs)
        for step in range(STEPS):
            candidate = {tile: list(values) for tile, values in costs.items()}
            candidate[chance.choice(tiles)][chance.randrange(4)] *= math.exp(chance.gauss(0, 0.15 if step < STEPS // 2 else 0.05))
            if (found := badness(candidate)) < best:
                best, costs = found, candidate
        print(f"{precision}: mean error {error(products, costs, multiprocessors):.1%}, regret {regret(products, costs, multiprocessors):.1%}")
        for tile, values in costs.items():
            print("    {:8} Launch: {:.2f}, Latency: {:.3f}, Work: {:.3f}, Store: {:.2f}".format(tile, *values))


if __name__ == "__main__":
    main()
