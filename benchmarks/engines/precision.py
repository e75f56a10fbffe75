"""What bf16 and int8 gain on this processor, and whether the choice of classes belongs into the graph.

All ways take turns, so that whatever else the machine does hits all alike; the ratios are medians of paired rounds.
Accuracy is not measured here: `maskmill export` does, and writes it into the card.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.record import median, record
from data.sample_library import open_samples
from segmentation.picture_files.pictures import decode_picture
from storage.catalog import Bundle, Catalog, open_catalog
from storage.settings import StorageSettings
from worker.engines import ENGINES, EngineRules, load_in, runtime_of
from worker.engines.processor import precisions, processor_flags
from worker.pipeline.certainty import measure, stretched
from worker.pipeline.upsample import best_class
from worker.settings import cpu_count

QUESTION = "ms of one forward in each precision and engine, and of a picture's class ids in the graph or in the worker"
MAX_PIXELS = 2**24

Tensor = NDArray[np.float32]
Way = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, help="folder of bundles; default: the bundled ones")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    catalog = Catalog([given.models]) if given.models else open_catalog(StorageSettings())
    bundles = [catalog.get(card.name) for card in catalog.list() if "onnx" in card.files]
    figures = {bundle.card.name: _measure(bundle, rounds=given.rounds) for bundle in bundles}
    record("precision", QUESTION, {"threads": cpu_count(), "rounds": given.rounds, "models": figures})


def _measure(bundle: Bundle, *, rounds: int) -> dict[str, Any]:
    samples = open_samples()
    picture = decode_picture(samples.picture(samples.ids()[0]), max_pixels=MAX_PIXELS)
    batch = bundle.card.preprocessing.apply(picture)[None]
    forwards = _forwards(bundle, batch)
    found: dict[str, Any] = {"input": list(batch.shape[2:]), "forward": _race(forwards, rounds)}
    found["card_miou"] = {f"{each.engine} {each.precision}": each.miou for each in bundle.card.variants}
    if "onnx_ids" in bundle.card.files:
        found["ids"] = _race(_id_ways(bundle, batch), rounds)
    return found


def _forwards(bundle: Bundle, batch: Tensor) -> dict[str, Way]:
    """Every engine and precision that this bundle and this processor have; ONNX Runtime in fp32 first."""
    rules = EngineRules(streams=1, cpus=cpu_count())
    wanted = [("onnxruntime", "fp32")]
    wanted += [(name, each) for each in precisions(processor_flags()) for name in ("openvino", "onnxruntime")]
    ways: dict[str, Way] = {}
    for name, precision in dict.fromkeys(wanted):
        there = ENGINES[name].files.get(precision) in bundle.card.files
        if there and runtime_of(name).missing("cpu", precision) is None:
            engine = load_in(name, bundle, replace(rules, precision=precision))
            ways[f"{name} {precision}"] = lambda run=engine.run: run(batch)  # type: ignore[misc]
    return ways


def _id_ways(bundle: Bundle, batch: Tensor) -> dict[str, Way]:
    """Ids and confidence at the input's size: chosen by the worker from logits, and by the graph itself."""
    height, width = batch.shape[2:]
    run = load_in("onnxruntime", bundle, EngineRules(streams=1, cpus=cpu_count())).run
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cpu_count()
    session = onnxruntime.InferenceSession(bundle.file("onnx_ids"), options, providers=["CPUExecutionProvider"])

    def in_worker() -> object:
        logits = run(batch)[0]
        return best_class(logits, height, width), stretched(measure(logits).confidence, height, width)

    return {"in the worker": in_worker, "in the graph": lambda: session.run(None, {"image": batch})}


def _race(ways: Mapping[str, Way], rounds: int) -> dict[str, Any]:
    """times_base: how many times as fast as the first way, the median over rounds."""
    for way in ways.values():
        way()  # warm
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            took[name].append((time.perf_counter() - began) * 1e3)
    base = next(iter(took.values()))
    return {
        name: {
            "median_ms": median(spent),
            "times_base": median(before / now for before, now in zip(base, spent, strict=True)),
        }
        for name, spent in took.items()
    }


if __name__ == "__main__":
    main()
