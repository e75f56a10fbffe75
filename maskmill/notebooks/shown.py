"""Results as notebooks and other libraries want them: pixels, tables, HTML. Needs NumPy, Pillow or pandas when used."""

from __future__ import annotations

import base64
import html
import importlib
import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from maskmill.errors import InvalidInput
from maskmill.films.frames import shown_at_ms
from maskmill.installed import called

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
    from numpy.typing import NDArray

    from maskmill.handle import JobHandle
    from maskmill.image import Image

_FIXED = ("index", "name", "ref", "status", "width", "height")
_MEASURED = ("mean_confidence", "mean_entropy")
_TRUTH = ("pixel_accuracy", "miou", "mean_dice")
_SHARE = "fraction:"
_OVERLAY_TYPES = {b"\x89PNG": "image/png", b"RIFF": "image/webp"}


def opened(content: bytes) -> PIL.Image.Image:
    """Raises InvalidInput where Pillow is not installed."""
    picture: PIL.Image.Image = _library("PIL.Image", "pillow").open(io.BytesIO(content))
    picture.load()
    return picture


def class_ids(content: bytes) -> NDArray[np.uint8]:
    """A mask as an array: (height, width), the class id of each pixel. Raises InvalidInput without NumPy."""
    ids: NDArray[np.uint8] = _library("numpy", "numpy").asarray(opened(content))
    return ids


def table_of(images: Iterable[Image], *, models: Sequence[str] = (), of_films: bool = False) -> Any:
    """A `pandas.DataFrame` with a row for each image, of several models for each image and model, and columns as in
    `metrics.csv`. models: of the job, where there are several. of_films: whether frames of films are among them.
    Raises InvalidInput without pandas."""
    found = list(images)
    rows = [_row(image, image.metrics) for image in found] if not models else _rows_by_model(found, models)
    table = _library("pandas", "pandas").DataFrame(rows)
    if of_films:
        shown = (shown_at_ms(name) for name in table["name"])
        table.insert(len(_FIXED), "time_s", [None if at is None else at / 1000 for at in shown])
    shares = [name for name in table.columns if name.startswith(_SHARE)]
    measured = table[shares].notna().any(axis=1)
    table.loc[measured, shares] = table.loc[measured, shares].fillna(0.0)  # a class that is nowhere on a picture
    return table


def _rows_by_model(images: Iterable[Image], models: Iterable[str]) -> list[dict[str, Any]]:
    rows = []
    for image, model in product(images, models):
        result = (image.row.get("results") or {}).get(model, {})
        rows.append({**_row(image, result.get("metrics") or {}), "asked_model": model})
    return rows


def _row(image: Image, metrics: Mapping[str, Any]) -> dict[str, Any]:
    truth: Mapping[str, Any] = metrics.get("ground_truth") or {}
    return {
        **{name: image.row.get(name) for name in _FIXED},
        **{name: metrics.get(name) for name in _MEASURED},
        **{name: truth[name] for name in _TRUTH if name in truth},
        **({"coverage": metrics["coverage"]} if "coverage" in metrics else {}),
        "error": None if image.error is None else image.error.get("code"),
        **{f"{_SHARE}{name}": share for name, share in (metrics.get("class_fractions") or {}).items()},
        **{f"iou:{name}": score for name, score in (truth.get("iou") or {}).items()},
    }


def image_html(image: Image) -> str:
    """The overlay where there is one, with a text alternative made of the shares of the classes."""
    said = f"{image.name}: {image.status}"
    if image.status != "succeeded" or "overlay" not in image.artifacts:
        return f"<p>{html.escape(said)}</p>"
    content = image.read("overlay")
    media_type = _OVERLAY_TYPES.get(content[:4], "image/jpeg")
    data = base64.b64encode(content).decode()
    alternative = html.escape(f"{image.name}: {_shares(image.metrics)}", quote=True)
    return (
        f'<figure><img src="data:{media_type};base64,{data}" alt="{alternative}" style="max-width:100%">'
        f"<figcaption>{alternative}</figcaption></figure>"
    )


def job_html(job: JobHandle) -> str:
    """What a job came to, as a small table. Asks the server nothing."""
    rows = [("job", job.id), ("status", job.status), ("images", f"{job.finished_images} of {job.total}")]
    if failed := job.counts.get("failed", 0):
        rows.append(("failed", str(failed)))
    for model, metrics in job.metrics_by_model.items():
        rows.append((model or "classes", _shares(metrics)))
        if truth := metrics.get("ground_truth"):
            rows.append(("mIoU", "unknown" if truth.get("miou") is None else f"{truth['miou']:.3f}"))
    cells = "".join(
        f"<tr><th scope=row>{html.escape(name)}</th><td>{html.escape(said)}</td></tr>" for name, said in rows
    )
    return f"<table>{cells}</table>"


def _shares(metrics: Mapping[str, Any]) -> str:
    shares = sorted((metrics.get("class_fractions") or {}).items(), key=lambda each: -each[1])
    return ", ".join(f"{name} {share:.0%}" for name, share in shares if share >= 0.005) or "nothing measured yet"


def _library(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise InvalidInput(f"this needs the package {package}: {called('pip')} install {package}") from None
