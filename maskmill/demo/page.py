"""demo/index.html: every picture with its overlay, mask, ground truth and numbers. No script, links are relative."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image as Picture

from jobs.reporting.names import model_folders, safe_folders, safe_stem
from maskmill.cli.output import percent
from maskmill.demo.material import MAX_PIXELS, Item, Material
from maskmill.demo.tables import truth_of, work_ms
from maskmill.handle import Image, JobHandle
from segmentation.errors import SegmentationError
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import get_label_space
from segmentation.palette import palette
from segmentation.picture_files.pictures import decode_mask, decode_picture

PICTURES = "pictures"
TRUTH = "truth"
TEMPLATE = Path(__file__).with_name("page.html")
SHOWN_BY_BROWSERS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


@dataclass(frozen=True, slots=True)
class _View:
    """One of the pictures of an image: file name inside the folder, title, and what it shows in words."""

    path: Path
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """space: what the ids of the results mean. licence: of the model."""

    space: LabelSpace
    licence: str = ""


def write_page(out: Path, job: JobHandle, images: Sequence[Image], material: Material, terms: Terms) -> Path:
    """Also writes the pictures and the coloured ground truth that it shows, below `out`."""
    space = terms.space
    by_name = {item.name: item for item in material.pictures}
    models = job.state.get("models") or [job.state["model"]]
    results = [list(_results(out, image, models)) for image in images]
    cards = [
        _card(out, image, [_picture(out, image, by_name.get(image.name)), *shown, _truth(out, image, material, space)])
        for image, shown in zip(images, results, strict=True)
    ]
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        count=len(images),
        model=escape(", ".join(models)),
        space=escape(space.name),
        licence=escape(terms.licence.partition(". ")[0].rstrip(".")),
        facts=_facts(job),
        legend=_legend(job.metrics, space),
        key=_key(space),
        cards="\n".join(cards),
    )
    target = out / "index.html"
    target.write_text(page, encoding="utf-8")
    return target


def _facts(job: JobHandle) -> str:
    truth = job.metrics.get("ground_truth") or {}
    facts = [("Pictures", f"{job.counts['succeeded']} of {job.total}")]
    if truth:
        facts += [("mIoU", percent(truth.get("miou"))), ("Pixel accuracy", percent(truth.get("pixel_accuracy")))]
        facts += [("Mean Dice", percent(truth.get("mean_dice")))]
    if job.metrics.get("mean_confidence") is not None:
        facts.append(("Mean confidence", percent(job.metrics["mean_confidence"])))
    return "\n".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)


def _legend(metrics: Mapping[str, Any], space: LabelSpace) -> str:
    """A row per class: colour, name, share of the pixels and, where it was measured, IoU."""
    shares = metrics.get("class_fractions") or {}
    scores = (metrics.get("ground_truth") or {}).get("iou") or {}
    rows = []
    for each in _shown_classes(space):
        score = scores.get(each.name)
        bar = "" if score is None else f'<meter value="{score:.3f}" max="1" aria-hidden="true"></meter>'
        rows.append(
            f'<tr><th scope="row">{_swatch(each)}{escape(each.name)}</th>'
            f"<td>{percent(shares.get(each.name, 0.0))}</td><td>{bar}</td><td>{percent(score)}</td></tr>"
        )
    return "\n".join(rows)


def _key(space: LabelSpace) -> str:
    """Colours and names alone; it stays in sight while the pictures go by."""
    return "\n".join(f"<li>{_swatch(each)}{escape(each.name)}</li>" for each in _shown_classes(space))


def _shown_classes(space: LabelSpace) -> list[LabelClass]:
    return [each for each in space.classes if each.id != space.ignore_id]


def _swatch(each: LabelClass) -> str:
    return f'<span class="swatch" style="background:#{bytes(each.colour).hex()}"></span>'


def _card(out: Path, image: Image, found: Sequence[_View | None]) -> str:
    views = [view for view in found if view is not None]
    figures = "\n".join(_figure(out, view, image) for view in views)
    title = escape(image.name)
    if image.status != "succeeded":
        error = image.error or {}
        reason = escape(f"{image.status}: {error.get('message') or error.get('code') or ''}")
        return f'<article><h3>{title}</h3><p class="failed">{reason}</p>{figures}</article>'
    return f'<article><h3>{title}</h3>\n<div class="views">{figures}</div>\n<dl>{_numbers(image)}</dl></article>'


def _results(out: Path, image: Image, models: Sequence[str]) -> Iterator[_View | None]:
    """Overlay and mask of each model. The image's own numbers are the first one's."""
    first = ", ".join(f"{name} {percent(share)}" for name, share in _by_share(image))
    for place, (model, folder) in enumerate(zip(models, model_folders(models), strict=True)):
        by = f" by {model}" if folder else ""
        classes = f": {first}" if place == 0 else ""
        yield _result(out, image, f"overlay{folder}", f"Overlay{by}", f"Classes drawn over the picture{by}{classes}")
        yield _result(out, image, f"mask{folder}", f"Mask{by}", f"A colour per class{by}{classes}")


def _by_share(image: Image) -> list[tuple[str, float]]:
    fractions: Mapping[str, float] = image.metrics.get("class_fractions") or {}
    return sorted(fractions.items(), key=lambda pair: -pair[1])


def _result(out: Path, image: Image, kind: str, title: str, text: str) -> _View | None:
    """Where the archive put it: under its stem, or stem and index when another image has the same stem."""
    stem = safe_folders(image.name) + safe_stem(image.name)
    for name in (f"{stem}_{image.index:06d}", stem, f"image_{image.index:06d}"):
        found = next(iter(sorted((out / kind).glob(f"{_literal(name)}.*"))), None)
        if found is not None:
            return _View(found, title, text)
    return None


def _literal(name: str) -> str:
    return name.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")


def _picture(out: Path, image: Image, item: Item | None) -> _View | None:
    if item is None:
        return None
    suffix = Path(item.name).suffix.lower()
    target = out / PICTURES / f"{image.index:04d}_{safe_stem(item.name)}{suffix}"
    target.parent.mkdir(exist_ok=True)
    data = item.read()
    if suffix not in SHOWN_BY_BROWSERS:
        try:
            data, target = _as_jpeg(data), target.with_suffix(".jpg")
        except SegmentationError:
            return None  # the job says why
    target.write_bytes(data)
    return _View(target, "Picture", "The picture as it was submitted")


def _as_jpeg(data: bytes) -> bytes:
    buffer = io.BytesIO()
    Picture.fromarray(decode_picture(data, max_pixels=MAX_PIXELS)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _truth(out: Path, image: Image, material: Material, space: LabelSpace) -> _View | None:
    item = material.truth_of(image.name)
    if item is None or material.mask_label_space is None or image.status != "succeeded":
        return None
    ids = decode_mask(item.read(), max_pixels=MAX_PIXELS)
    told = get_label_space(material.mask_label_space).remapping_to(space)[ids]
    target = out / TRUTH / f"{image.index:04d}_{safe_stem(image.name)}.png"
    target.parent.mkdir(exist_ok=True)
    colours = Picture.fromarray(told)
    colours.putpalette(np.ascontiguousarray(palette(space)).tobytes())
    colours.save(target, compress_level=1)
    return _View(target, "Ground truth", "What is really there, in the same colours")


def _figure(out: Path, view: _View, image: Image) -> str:
    link = quote(view.path.relative_to(out).as_posix())
    width, height = image.row.get("width"), image.row.get("height")
    size = f' width="{width}" height="{height}"' if width and height else ""
    alt = escape(f"{image.name}. {view.text}", quote=True)
    return (
        f'<figure><a href="{link}"><img src="{link}" alt="{alt}"{size} loading="lazy"></a>'
        f"<figcaption>{escape(view.title)}</figcaption></figure>"
    )


def _numbers(image: Image) -> str:
    truth = truth_of(image)
    numbers = []
    if truth:
        numbers += [("mIoU", percent(truth.get("miou"))), ("Pixel accuracy", percent(truth.get("pixel_accuracy")))]
    if image.metrics.get("mean_confidence") is not None:
        numbers.append(("Confidence", percent(image.metrics["mean_confidence"])))
    time_ms = work_ms(image)
    if time_ms is not None:
        numbers.append(("Time", f"{time_ms:.0f} ms"))
    numbers.append(("Largest classes", ", ".join(f"{name} {percent(share)}" for name, share in _by_share(image)[:4])))
    return "\n".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in numbers)
