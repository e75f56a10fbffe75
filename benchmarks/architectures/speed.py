"""What one inference costs: one picture at a time, after warm-up, on every engine that this machine has."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.record import median
from training.predictors import Predict, onnx_predictor, openvino_predictor, torch_predictor

HEIGHT, WIDTH = 352, 480  # what a network sees of a CamVid picture when it serves
WARM_UP = 3
RUNS = 20
LONGEST_S = 20.0  # of one measurement: slow networks get fewer runs, never fewer than three


def speeds_of_file(path: Path) -> dict[str, Mapping[str, Any]]:
    """path: an ONNX file. By engine: milliseconds, median and 90th percentile, and images per second."""
    engines = {"onnxruntime": onnx_predictor(path), "openvino": openvino_predictor(path)}
    return {name: measure(predict) for name, predict in engines.items()}


def speed_on_gpu(build: Callable[[], nn.Module]) -> dict[str, Mapping[str, Any]]:
    """PyTorch in float32, the copy of the logits to the CPU included; empty where there is no GPU."""
    if not torch.cuda.is_available():
        return {}
    name = f"torch on {torch.cuda.get_device_name()}"
    return {name: measure(torch_predictor(build().to("cuda", memory_format=torch.channels_last)))}  # type: ignore[call-overload]


def measure(predict: Predict) -> dict[str, Any]:
    image = np.random.default_rng(1).standard_normal((3, HEIGHT, WIDTH)).astype(np.float32)
    for _ in range(WARM_UP):
        predict(image)
    spent_ms: list[float] = []
    while len(spent_ms) < RUNS and (len(spent_ms) < 3 or sum(spent_ms) < LONGEST_S * 1e3):
        began = time.perf_counter()
        predict(image)
        spent_ms.append((time.perf_counter() - began) * 1e3)
    return {
        "median_ms": median(spent_ms),
        "p90_ms": median([statistics.quantiles(spent_ms, n=10)[-1]]),
        "images_per_s": median([len(spent_ms) * 1e3 / sum(spent_ms)]),
        "runs": len(spent_ms),
    }
