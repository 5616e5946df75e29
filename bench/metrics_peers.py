#!/usr/bin/env python3
"""metrics_peers.py FILE: the metrics of `kernelad metrics` by scikit-learn (AUROC, AP, F1-max) and by NumPy (AUPRO), from the same safetensors file. One JSON object.

AUPRO follows the definition of MVTec's compute_pro (Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021): connected components with a 3 x 3
structure, one argsort of all pixels, cumulative sums of false positives and of per-region overlap, one point per distinct score. Its sums are in float64.
Times are those of the calculations alone: the arrays are in memory before the clock starts.
"""
import json
import resource
import sys
import time

import numpy as np
from scipy.ndimage import label
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

TYPES = {"F32": np.float32, "U8": np.uint8}


def load(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        start = file.tell()
        tensors = {}
        for name, entry in header.items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                file.seek(start + begin)
                tensors[name] = np.frombuffer(file.read(end - begin), TYPES[entry["dtype"]]).reshape(entry["shape"])
        return tensors


def overlap_area(maps, masks, limits):
    weights = np.zeros(maps.shape)
    good = masks == 0
    regions = 0
    for i, mask in enumerate(masks):
        labels, count = label(mask, structure=np.ones((3, 3)))
        regions += count
        sizes = np.bincount(labels.ravel(), minlength=count + 1).astype(np.float64)
        sizes[0] = np.inf
        weights[i] = 1 / sizes[labels]
    order = np.argsort(maps, axis=None)[::-1]
    scores = maps.ravel()[order]
    rates = np.cumsum(good.ravel()[order], dtype=np.float64) / np.count_nonzero(good)
    overlaps = np.minimum(np.cumsum(weights.ravel()[order]) / regions, 1)
    last = np.append(np.diff(scores) != 0, True)
    rates, overlaps = np.append(0, rates[last]), np.append(0, overlaps[last])
    return [area(rates, overlaps, limit) for limit in limits]


def area(rates, overlaps, limit):
    kept = rates <= limit
    x, y = rates[kept], overlaps[kept]
    if x[-1] < limit:
        x, y = np.append(x, limit), np.append(y, np.interp(limit, rates, overlaps))
    return np.trapz(y, x) / limit


def highest_f1(labels, scores):
    precision, recall, _ = precision_recall_curve(labels, scores)
    return float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-300)))


def main():
    tensors = load(sys.argv[1])
    maps, masks = tensors["maps"], tensors["masks"]
    scores, labels = maps.ravel(), masks.ravel()
    result = {"values": {}, "seconds": {}}

    def timed(names, function):
        start = time.perf_counter()
        values = function()
        result["seconds"][" ".join(names)] = time.perf_counter() - start
        result["values"].update(zip(names, values))

    timed(["pixel_auroc"], lambda: [roc_auc_score(labels, scores)])
    timed(["pixel_ap"], lambda: [average_precision_score(labels, scores)])
    timed(["pixel_f1max"], lambda: [highest_f1(labels, scores)])
    timed(["aupro_0.3", "aupro_0.05", "aupro_1.0"], lambda: overlap_area(maps, masks, [0.3, 0.05, 1.0]))
    result["peak_memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(result))


main()
