"""The numbers of a job in a terminal: one row per image, one per class, one sentence for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from maskmill.cli.output import counted, percent, plain_table, status_text
from maskmill.handle import JobHandle
from maskmill.image import Image

MOST_ROWS = 30
BAR = 24
WIDE = 110  # columns; with fewer the largest classes are left out


def show_results(console: Console, job: JobHandle, images: Sequence[Image]) -> None:
    console.print(Text.assemble(("[4/4] ", "bold cyan"), ("Results", "bold")))
    console.print()
    console.print(_image_table(_shown(images), wide=console.width >= WIDE))
    if len(images) > MOST_ROWS:
        console.print(f"… the {MOST_ROWS} lowest of {len(images)}; all are in metrics.csv", style="dim")
    truth = job.metrics.get("ground_truth")
    console.print()
    console.print(_class_table(job.metrics))
    console.print()
    console.print(_sentence(truth, job))


def truth_of(image: Image) -> Mapping[str, Any]:
    return image.metrics.get("ground_truth") or {}


def _shown(images: Sequence[Image]) -> Sequence[Image]:
    """All of a few; of many those that need a look first: failed ones, then the lowest scores."""
    return images if len(images) <= MOST_ROWS else worst_first(images)[:MOST_ROWS]


def worst_first(images: Sequence[Image]) -> list[Image]:
    """Failed ones, then by score; where there is none, by confidence."""
    return sorted(images, key=lambda image: (image.status == "succeeded", _score(image)))


def _score(image: Image) -> float:
    score = truth_of(image).get("miou")
    confidence = image.metrics.get("mean_confidence")
    return float(score if score is not None else confidence if confidence is not None else 2.0)


def _image_table(images: Sequence[Image], *, wide: bool) -> Table:
    numbers = ("size", "mIoU", "pixel acc.", "confidence", "ms")
    table = plain_table("image", *numbers, *(["largest classes"] if wide else []), right=numbers)
    for image in images:
        if image.status == "succeeded":
            table.add_row(image.name, *_cells(image)[: len(table.columns) - 1])
        elif wide:
            table.add_row(image.name, *[""] * len(numbers), _failure(image))
        else:
            table.add_row(Text.assemble(image.name, " ", _failure(image)))
    return table


def _cells(image: Image) -> list[Text | str]:
    truth = truth_of(image)
    time_ms = image.work_ms
    return [
        f"{image.row['width']}×{image.row['height']}",
        percent(truth.get("miou")),
        percent(truth.get("pixel_accuracy")),
        percent(image.metrics.get("mean_confidence")),
        "–" if time_ms is None else f"{time_ms:.0f}",
        _largest(image.metrics.get("class_fractions") or {}),
    ]


def _failure(image: Image) -> Text:
    return Text.assemble(status_text(image.status), f" {(image.error or {}).get('code', '')}")


def _largest(fractions: Mapping[str, float]) -> str:
    first = sorted(fractions.items(), key=lambda pair: -pair[1])[:3]
    return ", ".join(f"{name} {share * 100:.0f} %" for name, share in first)


def _class_table(metrics: Mapping[str, Any]) -> Table:
    scores: Mapping[str, float] = (metrics.get("ground_truth") or {}).get("iou") or {}
    fractions: Mapping[str, float] = metrics.get("class_fractions") or {}
    table = plain_table("class", "IoU", "", "share of pixels", right=("IoU", "share of pixels"))
    for name in dict.fromkeys((*fractions, *scores)):
        score = scores.get(name)
        bar = "" if score is None else "━" * round(score * BAR)
        table.add_row(name, percent(score), Text(bar, style="green"), percent(fractions.get(name, 0.0)))
    return table


def _sentence(truth: Mapping[str, Any] | None, job: JobHandle) -> Text:
    counts = f"{job.counts['succeeded']} of {counted(job.total, 'picture')}"
    if not truth:
        return Text.assemble(
            counts, f", mean confidence {percent(job.metrics.get('mean_confidence'))}; no ground truth"
        )
    return Text.assemble(
        f"{counts}: ",
        (f"mIoU {percent(truth.get('miou'))}", "bold green"),
        f", pixel accuracy {percent(truth.get('pixel_accuracy'))}, mean Dice {percent(truth.get('mean_dice'))}",
        (" (over the summed confusion matrix)", "dim"),
    )
