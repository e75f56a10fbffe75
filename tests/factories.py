"""Small valid values for tests: jobs, images, pictures, masks, archives, model cards."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.job import (
    Counts,
    ImageMetrics,
    ImageResult,
    Job,
    JobImage,
    ModelIdentity,
    NewImage,
    Priority,
    Source,
    SourceKind,
)
from jobs.keys import input_key
from jobs.options import JobOptions
from segmentation.model_card import ModelCard
from segmentation.preprocessing import Preprocessing

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make_job(images: int = 3, *, job_id: str = "job_1", **changes: Any) -> Job:
    values: dict[str, Any] = {
        "id": job_id,
        "prefix": f"default/jobs/{job_id}/",
        "models": ("tiny",),
        "label_space": "camvid-11",
        "priority": Priority.INTERACTIVE,
        "options": JobOptions(model="tiny", label_space="camvid-11"),
        "counts": Counts(queued=images),
        "created_at": NOON,
    }
    return Job(**{**values, **changes})


def make_image(index: int = 0, *, job_id: str = "job_1", **changes: Any) -> JobImage:
    source = Source(SourceKind.OBJECT, input_key(f"default/jobs/{job_id}/", index))
    values = {"job_id": job_id, "index": index, "name": f"{index}.jpg", "source": source, "sent_at": NOON}
    return JobImage(**{**values, **changes})


def make_images(count: int, *, job_id: str = "job_1") -> list[NewImage]:
    """What becomes of them are those of `make_image`."""
    prefix = f"default/jobs/{job_id}/"
    return [NewImage(Source(SourceKind.OBJECT, input_key(prefix, n)), f"{n}.jpg") for n in range(count)]


def make_result(**changes: Any) -> ImageResult:
    values: dict[str, Any] = {
        "width": 10,
        "height": 10,
        "artifacts": (),
        "metrics": ImageMetrics(class_fractions={"sky": 0.25, "road": 0.75}, mean_confidence=0.5),
        "timings_ms": {"infer": 1.0},
        "identity": ModelIdentity("tiny", "1", "ab" * 32, "fp32", "fake", device="fake"),
    }
    return ImageResult(**{**values, **changes})


def make_card(name: str = "tiny", **changes: Any) -> ModelCard:
    preprocessing = Preprocessing(
        resize="fit",
        long_side=64,
        height=None,
        width=None,
        multiple_of=32,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )
    values: dict[str, Any] = {
        "name": name,
        "version": "1",
        "architecture": "tiny",
        "label_space": "camvid-11",
        "preprocessing": preprocessing,
        "files": {"onnx": "model.onnx"},
        "sha256": {"model.onnx": "0" * 64},
        "output_stride": 4,
        "parameters": 10,
    }
    return ModelCard(**{**values, **changes})


def picture(width: int = 32, height: int = 24, *, seed: int = 0, form: str = "JPEG") -> bytes:
    """A noisy RGB picture as a file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return encoded(pixels, form)


def mask(ids: NDArray[np.uint8]) -> bytes:
    """(H, W) class ids as a grey PNG."""
    return encoded(ids, "PNG")


def encoded(pixels: NDArray[np.uint8], form: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def zip_of(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tar_of(files: Mapping[str, bytes], *, mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
