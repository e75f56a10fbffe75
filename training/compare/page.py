"""The page: a Comparison as one HTML file that asks nobody for anything. templates/page.html says what stands where."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from segmentation.label_space import LabelSpace
from training.compare import readings, sections, thumbnails, wording
from training.compare.figures.series import Series, hatchings
from training.compare.findings import Comparison, Entry, Shown

LEVELS = 10  # of shading in a confusion matrix


@dataclass(frozen=True, slots=True)
class Column:
    """Of the table of scores. lowest: the best value is the lowest one."""

    title: str
    score: str
    lowest: bool = False


COLUMNS = (
    Column("mIoU %", "miou"),
    Column("Dice %", "mean_dice"),
    Column("pixel accuracy %", "pixel_accuracy"),
    Column("weighted IoU %", "frequency_weighted_iou"),
    Column("calib. error %", "ece", lowest=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """said: as printed. value: to sort by; None when there is none. best: of its column. note: in small print below."""

    said: str
    value: float | None
    best: bool = False
    note: str = ""


def render(comparison: Comparison, *, title: str, colour_blind_safe: bool = True) -> str:
    """The whole page. Names in it come from users: everything that is not our own drawing is escaped."""
    environment = Environment(
        loader=PackageLoader("training.compare"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    colours = thumbnails.class_colours(comparison.space, colour_blind_safe=colour_blind_safe)
    return environment.get_template("page.html").render(
        title=title,
        comparison=comparison,
        series=[Series(index) for index in range(len(comparison.entries))],
        hatchings=hatchings(len(comparison.entries)),
        columns=COLUMNS,
        rows=score_rows(comparison),
        matrices=[confusion_rows(comparison, index) for index in range(len(comparison.entries))],
        missed=any(entry.evaluation.confusion[:, comparison.space.class_count :].any() for entry in comparison.entries),
        precisions=_curve_rows(comparison),
        legend=_legend(comparison, colours),
        pictures=[_tiles(shown, comparison, colours, index) for index, shown in enumerate(comparison.shown)],
        readings=readings,
        sections=sections,
        wording=wording,
        data=comparison.to_dict(),
    )


def score_rows(comparison: Comparison) -> list[tuple[Entry, list[Cell]]]:
    """Each entry with the cells of COLUMNS, then parameters, size, latency and images per second."""
    columns = [_score_cells(comparison, column) for column in COLUMNS] + _cost_cells(comparison)
    return [(entry, [column[index] for column in columns]) for index, entry in enumerate(comparison.entries)]


def confusion_rows(comparison: Comparison, index: int) -> list[tuple[str, list[tuple[str, int]], str]]:
    """Of each class in the truth: its name, (per cent, level of shading) by predicted class, its share of all pixels.

    The last cell holds pixels for which no class of the data was predicted.
    """
    evaluation = comparison.entries[index].evaluation
    ids = [each for each in evaluation.class_ids if evaluation.space.name_of(each) in comparison.class_names]
    total = max(1, int(evaluation.confusion.sum()))
    rows = []
    for class_id in ids:
        counts = evaluation.confusion[class_id]
        picked = [*counts[ids].tolist(), int(counts[evaluation.space.class_count :].sum())]
        shares = [count / counts.sum() if counts.sum() else 0.0 for count in picked]
        cells = [(_whole_percent(share), round(share * LEVELS)) for share in shares]
        rows.append((evaluation.space.name_of(class_id), cells, wording.percent(float(counts.sum()) / total)))
    return rows


def write(comparison: Comparison, page: str, out: Path) -> Path:
    """out: the page's path; comparison.json lies beside it. Both are written beside and moved into place."""
    out.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(comparison.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    for path, text in ((out.with_name("comparison.json"), content), (out, page)):
        part = path.with_name(f".{path.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    return out


def _score_cells(comparison: Comparison, column: Column) -> list[Cell]:
    values = comparison.values(column.score)
    leaders = _leaders(values, lowest=column.lowest)
    return [
        Cell(
            said=wording.bare(value),
            value=value if math.isfinite(value) else None,
            best=index in leaders,
            note=wording.within(entry.interval) if column.score == "miou" and entry.interval else "",
        )
        for index, (value, entry) in enumerate(zip(values, comparison.entries, strict=True))
    ]


def _cost_cells(comparison: Comparison) -> list[list[Cell]]:
    entries = comparison.entries
    latencies = [entry.latency for entry in entries]
    return [
        _cells([wording.parameters(entry.parameters) for entry in entries], [entry.parameters for entry in entries]),
        _cells([wording.megabytes(entry.size_bytes) for entry in entries], [entry.size_bytes for entry in entries]),
        _cells(
            [wording.NONE if each is None else f"{each.median_ms:.1f}" for each in latencies],
            [None if each is None else each.median_ms for each in latencies],
        ),
        _cells(
            [wording.NONE if each is None else f"{each.images_per_s:.1f}" for each in latencies],
            [None if each is None else each.images_per_s for each in latencies],
            lowest=False,
        ),
    ]


def _cells(said: Sequence[str], values: Sequence[float | None], *, lowest: bool = True) -> list[Cell]:
    known = [value for value in values if value is not None]
    wanted = (min(known) if lowest else max(known)) if known else None
    best = {text for text, value in zip(said, values, strict=True) if value is not None and value == wanted}
    best = set() if best == set(said) else best  # where all are alike none is best
    return [Cell(said=text, value=value, best=text in best) for text, value in zip(said, values, strict=True)]


def _leaders(values: Sequence[float], *, lowest: bool) -> list[int]:
    """Where all are alike none is best."""
    leaders = readings.best(values, lowest=lowest)
    return [] if len(leaders) == len(values) else leaders


def _curve_rows(comparison: Comparison) -> list[tuple[str, list[tuple[str, bool]], list[tuple[str, bool]]]]:
    """Of each class: average precision and area under the ROC curve of each model, and whether it is the best."""
    rows = []
    for name in comparison.class_names:
        both = (sections.average_precisions(comparison, name), sections.areas_under_roc(comparison, name))
        marked = []
        for values in both:
            leaders = _leaders(values, lowest=False)
            marked.append([(wording.bare(value), index in leaders) for index, value in enumerate(values)])
        rows.append((name, marked[0], marked[1]))
    return rows


def _legend(comparison: Comparison, colours: NDArray[np.uint8]) -> list[tuple[str, str]]:
    """Name and colour of every class that occurs, and of what is not labelled."""
    space = comparison.space
    ids = {space.name_of(each): each for each in space.class_ids}
    named = [(name, _hex(colours[ids[name]])) for name in comparison.class_names]
    return [*named, ("not labelled", _hex(colours[space.void_id]))]


def _tiles(shown: Shown, comparison: Comparison, colours: NDArray[np.uint8], index: int) -> dict[str, Any]:
    height, width = shown.truth.shape
    known = ~np.isin(shown.truth, list(comparison.space.void_ids))
    differs = np.any([ids != shown.predictions[0] for ids in shown.predictions[1:]], axis=0) & known
    return {
        "key": f"picture-{index}",
        "shown": shown,
        "width": width,
        "height": height,
        "photo": thumbnails.photo_address(shown.photo),
        "truth": _mask(shown.truth, comparison.space, colours),
        "models": [
            {
                "mask": _mask(ids, comparison.space, colours),
                "wrong": thumbnails.stripes_address((ids != shown.truth) & known),
            }
            for ids in shown.predictions
        ],
        "differs": thumbnails.stripes_address(differs),
    }


def _mask(ids: NDArray[np.uint8], space: LabelSpace, colours: NDArray[np.uint8]) -> dict[str, Any]:
    largest = thumbnails.shares(ids, space)[:6]
    return {
        "address": thumbnails.mask_address(ids, colours),
        "names": list(thumbnails.names_within(ids, space)),
        "told": ", ".join(f"{name} {wording.percent(share)}" for name, share in largest) or "nothing labelled",
    }


def _whole_percent(share: float) -> str:
    if share == 0:
        return "0"
    return "<1" if share < 0.005 else f"{share * 100:.0f}"


def _hex(colour: NDArray[np.uint8]) -> str:
    return "#" + bytes(colour.tolist()).hex()
