"""Does an image of a large job cost what one of a small job costs, and do pages and archives stay as quick?

A real local stack (SQLite, a directory, the bundled broker, one worker) with a model of one convolution, on pictures of
64×48 pixels: what is left is the machinery. Each size is a job of its own on a fresh stack.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import random
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import psutil
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from benchmarks.receiving.upload_memory import MIB, memory_of
from benchmarks.record import median, record
from maskmill.local import LocalStack, StackOptions, running_stack
from segmentation.model_card import ModelCard
from segmentation.preprocessing import Preprocessing

QUESTION = "cost of an image, memory of each process, sizes, pages and archive by the number of images of a job"
CLASSES, STRIDE = 11, 4
PICTURES = 50  # different ones
PAGES = 15
PAGE = 200
SETTLE_S = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100,1000,10000", help="images of each job")
    given = parser.parse_args()
    figures = {size: _of(int(size)) for size in given.sizes.split(",")}
    record("scale", QUESTION, {"load": [round(each, 1) for each in os.getloadavg()], "images": figures})


def _of(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, _stack(Path(folder)) as stack:
        with httpx.Client(base_url=stack.url, timeout=600) as http:
            _finished(http, _submit(http, 4))  # the first ones load the model
            before = _cpu_s(stack)
            began = time.perf_counter()
            job = _submit(http, count)
            submit_s = time.perf_counter() - began
            done = _finished(http, job)
            time.sleep(SETTLE_S)  # the last beats and rounds
            spent = {name: seconds - before[name] for name, seconds in _cpu_s(stack).items()}
            told: dict[str, Any] = {"submit_s": round(submit_s, 2), "images_per_s": done["images_per_second"]}
            told["cpu_ms_per_image"] = {name: round(1e3 * each / count, 2) for name, each in spent.items()}
            told |= _reading(http, job)
            told["peak_mb"] = {name: _peak_mb(pid) for name, pid in _pids(stack).items()}
        home = stack.home.root
        told["database_bytes_per_image"] = round(sum(each.stat().st_size for each in home.glob("*.db*")) / count)
        told["store_bytes_per_image"] = round(_size(home / "objects") / count)
        return told


@contextmanager
def _stack(folder: Path) -> Iterator[LocalStack]:
    settings = {
        "MASKMILL_STORAGE_MODEL_FOLDERS": f'["{folder / "models"}"]',
        "MASKMILL_WORKER_ENGINE": "onnxruntime",
        "MASKMILL_WORKER_PRECISION": "fp32",
        "MASKMILL_API_MAX_IMAGES": "200000",
    }
    write_model(folder / "models")
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        with running_stack(StackOptions(home=folder / "home", port=0), lambda notice: None) as stack:
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


def _submit(http: httpx.Client, count: int) -> str:
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
        answer = http.post("/jobs", files={"files": ("in.zip", packed)}, data={"artifacts": "mask"})
    return str(answer.raise_for_status().json()["id"])


def _finished(http: httpx.Client, job: str) -> Any:
    while True:
        found = http.get(f"/jobs/{job}", params={"wait": 30}).raise_for_status().json()
        if found["finished_at"] is not None:
            assert found["status"] == "succeeded", found
            return found


def _reading(http: httpx.Client, job: str) -> dict[str, Any]:
    """ms: the list of jobs, the first page of images, the last one; the archive's first byte, and its rate."""
    pages = f"/jobs/{job}/images"
    cursor: str | None = None
    while (found := _page(http, pages, cursor))["next_cursor"] is not None:
        cursor = found["next_cursor"]
    began = time.perf_counter()
    with http.stream("GET", f"/jobs/{job}/archive") as answer:
        answer.raise_for_status()
        pieces = answer.iter_bytes()
        size = len(next(pieces))
        first_byte_s = time.perf_counter() - began
        size += sum(map(len, pieces))
        assert size == int(answer.headers["Content-Length"])
    return {
        "list_of_jobs_ms": _ms(lambda: http.get("/jobs").raise_for_status()),
        "first_page_ms": _ms(lambda: _page(http, pages, None)),
        "last_page_ms": _ms(lambda: _page(http, pages, cursor)),
        "archive_first_byte_ms": median([1e3 * first_byte_s]),
        "archive_s": median([time.perf_counter() - began]),
        "archive_mb": median([size / 1e6]),
    }


def _page(http: httpx.Client, path: str, cursor: str | None) -> Any:
    where: dict[str, Any] = {"limit": PAGE} | ({} if cursor is None else {"cursor": cursor})
    return http.get(path, params=where).raise_for_status().json()


def _ms(call: Callable[[], object]) -> float:
    spent = []
    for _ in range(PAGES):
        began = time.perf_counter()
        call()
        spent.append((time.perf_counter() - began) * 1e3)
    return median(spent)


def _pids(stack: LocalStack) -> Mapping[str, int]:
    return {name: process.pid for name, process in stack.home.parts().items()}


def _cpu_s(stack: LocalStack) -> dict[str, float]:
    found = {}
    for name, pid in _pids(stack).items():
        times = psutil.Process(pid).cpu_times()
        found[name] = times.user + times.system
    return found


def _peak_mb(pid: int) -> float:
    return median([memory_of(pid)["VmHWM"] / MIB])


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


if __name__ == "__main__":
    main()
