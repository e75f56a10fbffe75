"""How fast does each bundled model run on this GPU, in how much of its memory, and does it see what the processor sees?

`make gpu`. Ends with 1 where a model cannot be run or its class ids differ from the processor's in more pixels than
rounding explains, and with 2, saying why, on a machine where no GPU can be used. `--device cpu` takes the same way on
a processor.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import median, record
from data.sample_library import open_samples
from jobs.errors import ModelFailed, OutOfMemory
from segmentation.picture_files.pictures import Picture, decode_picture
from storage.catalog import Bundle, Catalog, open_catalog
from storage.settings import StorageSettings
from worker.engines import MEND, Engine, EngineRules, find_device, open_engine
from worker.pipeline.network_input import network_input
from worker.pipeline.upsample import best_class
from worker.settings import cpu_count

QUESTION = "images/s by batch size on the device, MiB of its memory, share of pixels of another class than on a CPU"
LARGEST_SHARE = 0.0005  # of pixels: neighbours of equal rank at an edge may change places with rounding
BATCHES = (1, 8, 32)
MAX_PIXELS = 2**24

Tensor = NDArray[np.float32]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make gpu", description=__doc__)
    parser.add_argument("--device", default="auto", help="cuda:0 …; default: the first GPU")
    parser.add_argument("--models", type=Path, help="folder of bundles; default: the bundled ones")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=8)
    given = parser.parse_args(arguments)
    device = find_device(given.device)
    if device == "cpu" and given.device != "cpu":
        print(f"no GPU here that an installed engine can use: nothing was measured; {MEND}", file=sys.stderr)
        return 2
    catalog = Catalog([given.models]) if given.models else open_catalog(StorageSettings())
    pictures = _pictures(given.pictures)
    figures = {each.card.name: measured(each, device, pictures, rounds=given.rounds) for each in catalog.bundles()}
    record("gpu" if device != "cpu" else "gpu-twin", QUESTION, {"device": device, "models": figures})
    return _judged(figures)


def _judged(figures: Mapping[str, Mapping[str, Any]]) -> int:
    unfit = [found["error"] for found in figures.values() if "error" in found]
    wrong = [name for name, found in figures.items() if found.get("differing", 0.0) > LARGEST_SHARE]
    for error in unfit:
        print(error, file=sys.stderr)
    if wrong:
        print(f"other masks than on the processor: {', '.join(wrong)}", file=sys.stderr)
    return 1 if unfit or wrong else 0


def measured(bundle: Bundle, device: str, pictures: Sequence[Picture], *, rounds: int) -> Mapping[str, Any]:
    """Of one model; why, where the device cannot run it."""
    rules = EngineRules(device=device, max_batch=max(BATCHES), cpus=cpu_count())
    try:
        engine = open_engine(bundle, rules)
    except ModelFailed as error:
        return {"error": str(error)}
    try:
        reference = open_engine(bundle, EngineRules(cpus=cpu_count()), precision="fp32")
        try:
            differing = differing_share(engine, reference, bundle, pictures)
        finally:
            reference.close()
        speeds = {str(batch): _images_per_s(engine, bundle, pictures[0], batch, rounds) for batch in BATCHES}
        return {
            "engine": engine.device,
            "differing": differing,
            "images_per_s": {batch: speed for batch, speed in speeds.items() if speed is not None},
            "memory_mib": _memory_mib(device),
        }
    finally:
        engine.close()


def differing_share(engine: Engine, reference: Engine, bundle: Bundle, pictures: Sequence[Picture]) -> float:
    """Of the pixels of all pictures, in [0, 1]."""
    different = pixels = 0
    for picture in pictures:
        height, width = picture.shape[:2]
        batch = network_input(bundle.card.preprocessing, picture)[None]
        one, other = (best_class(each.run(batch)[0], height, width) for each in (engine, reference))
        different += int(np.count_nonzero(one != other))
        pixels += one.size
    return different / pixels


def _images_per_s(engine: Engine, bundle: Bundle, picture: Picture, batch: int, rounds: int) -> float | None:
    """From memory to memory, copies included; None where a batch of that size does not fit."""
    if batch > engine.max_batch:
        return None
    pictures = np.repeat(network_input(bundle.card.preprocessing, picture)[None], batch, axis=0)
    spent = []
    try:
        for _ in range(rounds + 1):
            began = time.perf_counter()
            engine.run(pictures)
            spent.append(time.perf_counter() - began)
    except OutOfMemory:
        return None
    return median([batch / each for each in spent[1:]])


def _memory_mib(device: str) -> float | None:
    """In use on the device, by everybody; None on a processor and without the driver's tool."""
    if device == "cpu":
        return None
    number = device.partition(":")[2] or "0"
    query = ["nvidia-smi", f"--id={number}", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return float(done.stdout.strip())


def _pictures(count: int) -> list[Picture]:
    samples = open_samples()
    return [decode_picture(samples.picture(each), max_pixels=MAX_PIXELS) for each in samples.ids()[:count]]


if __name__ == "__main__":
    sys.exit(main())
