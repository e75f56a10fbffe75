"""A local stack whose model is one convolution, and jobs of tiny pictures for it: what is left is the machinery."""

from __future__ import annotations

import hashlib
import io
import os
import random
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from maskmill.local import LocalStack, StackOptions, running_stack
from segmentation.model_card import ModelCard
from segmentation.preprocessing import Preprocessing

CLASSES, STRIDE = 11, 4
PICTURES = 50  # different ones


@contextmanager
def noop_stack(
    folder: Path, *, workers: int = 1, home: Mapping[str, str] = MappingProxyType({})
) -> Iterator[LocalStack]:
    """home: settings that say where rows and objects lie; without them SQLite and a directory."""
    settings = {
        **home,
        "MASKMILL_STORAGE_MODEL_FOLDERS": f'["{folder / "models"}"]',
        "MASKMILL_WORKER_ENGINE": "onnxruntime",
        "MASKMILL_WORKER_PRECISION": "fp32",
        "MASKMILL_API_MAX_IMAGES": "200000",
    }
    write_model(folder / "models")
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        with running_stack(StackOptions(home=folder / "home", port=0, workers=workers), lambda notice: None) as stack:
            yield stack
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def write_model(models: Path) -> None:
    """A bundle `noop`: the mean of each channel as three classes, the others never."""
    folder = models / "noop"
    folder.mkdir(parents=True)
    kernel = np.zeros((CLASSES, 3, STRIDE, STRIDE), np.float32)
    for channel in range(3):
        kernel[channel, channel] = 1 / STRIDE**2
    bias = np.where(np.arange(CLASSES) < 3, 0, -4).astype(np.float32)
    node = helper.make_node("Conv", ["image", "kernel", "bias"], ["logits"], strides=[STRIDE, STRIDE])
    taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES, "rows", "columns"])
    weights = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")]
    graph = helper.make_graph([node], "noop", [taken], [given], weights)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "model.onnx"
    )
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    card = ModelCard(
        name="noop",
        version="1",
        architecture="one convolution",
        label_space="camvid-11",
        preprocessing=Preprocessing(resize="fit", long_side=64, multiple_of=STRIDE),
        files={"onnx": "model.onnx"},
        sha256={"model.onnx": digest},
        output_stride=STRIDE,
        parameters=int(kernel.size + bias.size),
    )
    (folder / "card.json").write_text(card.to_json(), encoding="utf-8")


def submit(http: httpx.Client, count: int) -> str:
    """One ZIP; its pictures repeat, their names do not."""
    noise, pictures = random.Random(0), []
    for _ in range(PICTURES):
        buffer = io.BytesIO()
        colours = bytes(noise.randrange(256) for _ in range(8 * 6 * 3))
        Image.frombytes("RGB", (8, 6), colours).resize((64, 48)).save(buffer, "JPEG")
        pictures.append(buffer.getvalue())
    with tempfile.TemporaryFile() as packed:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for index in range(count):
                archive.writestr(f"camera_{index % 4}/frame_{index:07d}.jpg", pictures[index % PICTURES])
        packed.seek(0)
        answer = http.post("/jobs", files={"files": ("in.zip", packed)}, data={"artifacts": "mask", "reuse": "false"})
    return str(answer.raise_for_status().json()["id"])


def finished(http: httpx.Client, job: str) -> Any:
    while True:
        found = http.get(f"/jobs/{job}", params={"wait": 30}).raise_for_status().json()
        if found["finished_at"] is not None:
            assert found["status"] == "succeeded", found
            return found
