"""Bundles of a network so small that every runtime loads it at once: one convolution that tells three colours apart.

A red picture is class 0, a green one class 1, a blue one class 2 of camvid-11 (sky, building, pole).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from segmentation.model_card import ModelCard
from storage.catalog import Bundle
from tests.factories import make_card

CLASSES = 11
STRIDE = 4

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def weights() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(11, 3, 4, 4) and (11,): the mean of each channel for the first three classes, a constant for the others."""
    kernel = np.zeros((CLASSES, 3, STRIDE, STRIDE), np.float32)
    for channel in range(3):
        kernel[channel, channel] = 1 / STRIDE**2
    bias = np.full(CLASSES, -4.0, np.float32)
    bias[:3] = 0
    return kernel, bias


def onnx_model() -> onnx.ModelProto:
    kernel, bias = weights()
    node = helper.make_node("Conv", ["image", "kernel", "bias"], ["logits"], strides=[STRIDE, STRIDE])
    graph = helper.make_graph(
        [node],
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES, "rows", "columns"])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def int8_model() -> onnx.ModelProto:
    """The same convolution of an image and weights with 256 steps each; inputs beyond ±5 are cut off."""
    kernel, bias = weights()
    constants: dict[str, object] = {
        "image_step": np.float32(10 / 255),
        "image_zero": np.uint8(128),
        "kernel_step": np.float32(np.abs(kernel).max() / 127),
        "kernel_zero": np.int8(0),
        "kernel_codes": np.rint(kernel / (np.abs(kernel).max() / 127)).astype(np.int8),
        "bias": bias,
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "image_step", "image_zero"], ["image_codes"]),
        helper.make_node("DequantizeLinear", ["image_codes", "image_step", "image_zero"], ["rounded"]),
        helper.make_node("DequantizeLinear", ["kernel_codes", "kernel_step", "kernel_zero"], ["kernel"]),
        helper.make_node("Conv", ["rounded", "kernel", "bias"], ["logits"], strides=[STRIDE, STRIDE]),
    ]
    model = onnx_model()
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(each), name) for name, each in constants.items())
    return model


def torchscript_model(path: Path) -> None:
    import torch

    kernel, bias = weights()
    convolution = torch.nn.Conv2d(3, CLASSES, STRIDE, STRIDE)
    convolution.load_state_dict({"weight": torch.from_numpy(kernel), "bias": torch.from_numpy(bias)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is frozen, not gone
        torch.jit.trace(convolution.eval(), torch.zeros(1, 3, 64, 64)).save(str(path))


def tiny_bundle(
    folder: Path, *, name: str = "tiny", torchscript: bool = False, int8: bool = False, **changes: object
) -> Bundle:
    """Written into `folder`/`name`, as `storage.catalog` expects it."""
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    files = {"onnx": "model.onnx"}
    onnx.save(onnx_model(), home / "model.onnx")
    if int8:
        files["onnx_int8"] = "model.int8.onnx"
        onnx.save(int8_model(), home / "model.int8.onnx")
    if torchscript:
        files["torchscript"] = "model.pt"
        torchscript_model(home / "model.pt")
    card = replace(make_card(name), files=files, sha256=_digests(home, files), **changes)  # type: ignore[arg-type]
    (home / "card.json").write_text(card.to_json(), "utf-8")
    return Bundle(card=card, folder=home)


def tailed_bundle(folder: Path, *, name: str, tail: str) -> Bundle:
    """The same with logits ten times as large, and a last node (`Softmax`, `Sigmoid`) that its card names."""
    bundle = tiny_bundle(folder, name=name, activation=tail.lower())
    model = onnx.load(bundle.folder / "model.onnx")
    for each, values in zip(model.graph.initializer, weights(), strict=True):
        each.CopyFrom(numpy_helper.from_array(10 * values, each.name))
    model.graph.node[0].output[0] = "before"
    model.graph.node.append(
        helper.make_node(tail, ["before"], ["logits"], **({"axis": 1} if tail == "Softmax" else {}))
    )
    onnx.save(model, bundle.folder / "model.onnx")
    return seal(bundle.folder)


def single_bundle(folder: Path, *, name: str) -> Bundle:
    """The same, exported for one picture at a time, as its card says."""
    bundle = tiny_bundle(folder, name=name, max_batch=1)
    model = onnx.load(bundle.folder / "model.onnx")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, bundle.folder / "model.onnx")
    return seal(bundle.folder)


def turned_bundle(folder: Path, *, name: str) -> Bundle:
    """The same with its classes moved on by one: a red picture is class 1, a green one class 2, a blue one class 0."""
    bundle = tiny_bundle(folder, name=name)
    model = onnx.load(bundle.folder / "model.onnx")
    kernel = next(each for each in model.graph.initializer if each.name == "kernel")
    turned = weights()[0][[2, 0, 1, *range(3, CLASSES)]]
    kernel.CopyFrom(numpy_helper.from_array(turned, "kernel"))
    onnx.save(model, bundle.folder / "model.onnx")
    return seal(bundle.folder)


def seal(folder: Path) -> Bundle:
    """Let the card describe the files as they are now."""
    card = ModelCard.from_json((folder / "card.json").read_bytes())
    card = replace(card, sha256=_digests(folder, card.files))
    (folder / "card.json").write_text(card.to_json(), "utf-8")
    return Bundle(card=card, folder=folder)


def change_version(bundle: Bundle, version: str) -> ModelCard:
    card = replace(bundle.card, version=version)
    (bundle.folder / "card.json").write_text(card.to_json(), "utf-8")
    return card


def _digests(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files.values()}
