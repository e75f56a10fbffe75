"""What one inference costs: one picture at a time, after warm-up, on every engine that this machine has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.record import median
from training.evaluate.latency import Patience, run_times
from training.evaluate.predictors import Predict, onnx_predictor, openvino_predictor, torch_predictor

HEIGHT, WIDTH = 352, 480  # what a network sees of a CamVid picture when it serves
PATIENCE = Patience(warm_up=3, runs=7, most_runs=50, seconds=4.0)


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
    took = run_times(predict, image, PATIENCE)
    p50, p90 = np.percentile(took, [50, 90]) * 1e3
    figures = {"median_ms": p50, "p90_ms": p90, "images_per_s": len(took) / took.sum()}
    return {name: median([float(value)]) for name, value in figures.items()} | {"runs": len(took)}
