"""demo/index.html, and the report of any job: how it looks is the comparison's page (`jobs/comparing/pages`).

Pictures and files are relative links; what is drawn over a picture lies in the page, so that a browser may read it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jobs.comparing.pages import tiles, wording
from jobs.comparing.pages.parts import Cell, Html, Row, Table, joined, paragraph
from jobs.comparing.pages.shell import ResultPage, Section
from jobs.comparing.pages.tiles import Tile
from jobs.reporting.names import model_folders
from maskmill.cli.output import percent
from maskmill.demo.files import Files, archived_names
from maskmill.demo.material import Material
from maskmill.demo.tables import truth_of, worst_first
from maskmill.handle import JobHandle
from maskmill.image import Image
from segmentation.label_space import LabelClass, LabelSpace

ABOUT = "First the picture, then what each model makes of it. Failed ones stand first, then the worst."
ABOUT_TRUTH = (
    "First the picture, then what is really there, where that is known, then what each model makes of it; below, "
    "striped, where it is wrong. Failed ones stand first, then the worst. Void, what is not labelled, is black in a "
    "truth and counts nowhere: there nothing is right or wrong."
)
IN_NUMBERS_ALONE = "The ground truth that was submitted is in the scores, and is not shown here."
BESIDE = ("metrics.csv", "metrics.json", "manifest.json", "results.zip")
LARGEST = 4  # classes that are named beside a picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """space: what the ids of the results mean. licence: of the model."""

    space: LabelSpace
    licence: str = ""


def write_page(out: Path, job: JobHandle, images: Sequence[Image], material: Material, terms: Terms) -> Path:
    """Also writes the pictures and the coloured ground truth that it shows, below `out`."""
    models = job.state.get("models") or [job.state["model"]]
    files = Files(out, material, terms.space, archived_names(images))
    shown = [_picture(files, image, models) for image in worst_first(images)]
    whose = f" By {models[0]}." if len(models) > 1 else ""
    page = ResultPage(
        kind="results of a job",
        title=f"{wording.counted(len(images), 'picture')} by {' and '.join(models)}",
        lead=f"Segmented into the classes of {terms.space.name}.",
        top=_top(job, terms),
        sections=[
            Section("classes", "Classes", _classes(job.metrics, terms.space, whose).html()),
            Section("pictures", "Pictures", _gallery(shown, job, terms.space)),
        ],
        made=_made(out),
    )
    target = out / "index.html"
    target.write_text(page.render(), encoding="utf-8")
    return target


def _gallery(shown: Sequence[tiles.Picture], job: JobHandle, space: LabelSpace) -> Html:
    """Nothing is said of a truth that is not among the tiles: a job's own is kept by the service alone."""
    captions = {tile.caption for picture in shown for row in picture.rows for tile in row if tile is not None}
    about = ABOUT_TRUTH if "truth" in captions else ABOUT
    if "truth" not in captions and any(_scored(metrics) for metrics in job.metrics_by_model.values()):
        about = f"{ABOUT} {IN_NUMBERS_ALONE}"
    return joined(paragraph(about), tiles.gallery(shown, _legend(space), striped="truth" in captions))


def _scored(metrics: Mapping[str, Any]) -> bool:
    return bool(metrics.get("ground_truth"))


def _top(job: JobHandle, terms: Terms) -> Html:
    facts = [("Pictures", f"{job.counts['succeeded']} of {job.total}")]
    measured = job.metrics_by_model
    for model, metrics in measured.items():
        by = f", {model}" if len(measured) > 1 else ""
        facts += [(f"{title}{by}", value) for title, value in _scores(metrics)]
    if licence := terms.licence.partition(". ")[0].rstrip("."):
        facts.append(("Licence of the model", licence))
    inner = "\n".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return Html(f'<dl class="facts">\n{inner}\n</dl>')


def _scores(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    truth, confidence = metrics.get("ground_truth") or {}, metrics.get("mean_confidence")
    titles = (("mIoU", "miou"), ("Pixel accuracy", "pixel_accuracy"), ("Mean Dice", "mean_dice"))
    told = [(title, percent(truth.get(name))) for title, name in titles if truth]
    return told if confidence is None else [*told, ("Mean confidence", percent(confidence))]


def _classes(metrics: Mapping[str, Any], space: LabelSpace, whose: str) -> Table:
    """Share of the pixels and, where it was measured, IoU. whose: of several models, in a sentence."""
    shares: Mapping[str, float] = metrics.get("class_fractions") or {}
    scores: Mapping[str, float] = (metrics.get("ground_truth") or {}).get("iou") or {}
    rows = []
    for each in _shown_classes(space):
        numbers = [shares.get(each.name, 0.0), *([scores.get(each.name)] if scores else [])]
        cells = [Cell(said=percent(number), value=number) for number in numbers]
        rows.append(Row(each.name, cells, colour=tiles.hex_of(each.colour)))
    head = ["class", "share of pixels", *(["IoU"] if scores else [])]
    label = "Share and score of each class"
    return Table(caption=f"Over all pictures.{whose}", label=label, head=head, rows=rows, kind="scores", sortable=True)


def _shown_classes(space: LabelSpace) -> list[LabelClass]:
    return [each for each in space.classes if each.id != space.ignore_id]


def _legend(space: LabelSpace) -> list[tuple[str, str]]:
    return [(each.name, tiles.hex_of(each.colour)) for each in _shown_classes(space)]


def _picture(files: Files, image: Image, models: Sequence[str]) -> tiles.Picture:
    picture, truth = files.picture(image), files.truth(image)
    links = [("picture", picture)]
    shown: list[Tile | None] = [Tile(label=f"The picture {image.name}", caption="picture", kind="photo")]
    if truth is not None:
        links.append(("ground truth", truth.path))
        shown.append(
            Tile(label=f"What is really there in {image.name}", caption="truth", layer=files.layer(truth.path))
        )
    wrong: list[Tile | None] = []
    for model, folder in zip(models, model_folders(models), strict=True):
        by = f" by {model}" if folder else ""
        mask = files.result(image, f"mask{folder}")
        links += [(f"overlay{by}", files.result(image, f"overlay{folder}")), (f"mask{by}", mask)]
        if mask is not None:
            shown.append(_mask(files, image, mask, model if by else ""))
            wrong += [] if truth is None else [_wrong(files.wrong(mask, truth), by)]
    gap: list[Tile | None] = [None] * (len(shown) - len(wrong))
    there = [(text, quote(path.relative_to(files.out).as_posix())) for text, path in links if path is not None]
    photo = "" if picture is None else quote(picture.relative_to(files.out).as_posix())
    rows = [shown if photo else shown[1:], *([[*gap, *wrong]] if wrong else [])]
    size = (int(image.row.get("width") or 1), int(image.row.get("height") or 1))
    return tiles.Picture(
        key=f"picture-{image.index}",
        name=image.name,
        why=_numbers(image, models[0] if len(models) > 1 else ""),
        photo=photo,
        size=size,
        rows=rows if image.status == "succeeded" else [],
        links=there,
    )


def _mask(files: Files, image: Image, mask: Path, model: str) -> Tile:
    """model: whose, of several."""
    of_models: Mapping[str, Any] = image.row.get("results") or {}
    by, metrics = (f" by {model}", of_models.get(model, {}).get("metrics") or {}) if model else ("", image.metrics)
    classes = ", ".join(f"{name} {percent(share)}" for name, share in _by_share(metrics))
    return Tile(label=f"The mask of {image.name}{by}: {classes}", caption=f"mask{by}", layer=files.layer(mask))


def _wrong(stripes: bytes, by: str) -> Tile:
    layer = tiles.address(stripes, "image/png")
    return Tile(label=f"Where the mask{by} is wrong", caption=f"wrong{by}", layer=layer, kind="stripes")


def _numbers(image: Image, model: str) -> str:
    """Of one picture, as a sentence; of a failed one why. model: of several, whose numbers they are."""
    if image.status != "succeeded":
        error = image.error or {}
        return f"{image.status}: {error.get('message') or error.get('code') or ''}"
    truth, told = truth_of(image), []
    if truth:
        told += [f"mIoU {percent(truth.get('miou'))}", f"pixel accuracy {percent(truth.get('pixel_accuracy'))}"]
    if image.metrics.get("mean_confidence") is not None:
        told.append(f"confidence {percent(image.metrics['mean_confidence'])}")
    time_ms = image.work_ms
    if time_ms is not None and math.isfinite(time_ms):
        told.append(f"{time_ms:.0f} ms")
    told.append(
        "largest classes: "
        + ", ".join(f"{name} {percent(share)}" for name, share in _by_share(image.metrics)[:LARGEST])
    )
    return (f"{model}: " if model else "") + "; ".join(told) + "."


def _by_share(metrics: Mapping[str, Any]) -> list[tuple[str, float]]:
    fractions: Mapping[str, float] = metrics.get("class_fractions") or {}
    return sorted(fractions.items(), key=lambda pair: -pair[1])


def _made(out: Path) -> Html:
    there = [name for name in BESIDE if (out / name).is_file()]
    links = ", ".join(f'<a href="{name}">{name}</a>' for name in there)
    return Html(f"All numbers, where they come from, and everything in one file: {links}." if there else "")
