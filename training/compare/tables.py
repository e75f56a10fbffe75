"""The tables of a comparison: which numbers stand in them, and which of a column is the best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.comparing.pages import wording
from jobs.comparing.pages.parts import Cell, Row, Table, best
from training.compare import sections
from training.compare.figures.series import Series
from training.compare.findings import Comparison
from training.compare.readings import CLASS_MEANS


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
COSTS = ("parameters", "size", "latency ms", "images/s")
SCORES = (
    "Scores of each model. The best value of a column, as printed, is marked “best”; whether a lead is more than "
    "chance is said below. Small print: 95 % interval."
)
SCORES_ALONE = "Scores and cost. Small print: 95 % interval."


def scores(comparison: Comparison) -> Table:
    columns = [_score_cells(comparison, column) for column in COLUMNS] + _cost_cells(comparison)
    rows = [
        Row(entry.name, [column[index] for column in columns], badge=Series(index).letter)
        for index, entry in enumerate(comparison.entries)
    ]
    head = ("model", *(column.title for column in COLUMNS), *COSTS)
    caption = SCORES_ALONE if comparison.is_alone else SCORES
    return Table(caption=caption, label="Table of scores", head=head, rows=rows, kind="scores", sortable=True)


def classes(comparison: Comparison) -> Table:
    """IoU and Dice of each class and model."""
    kinds = (("IoU", "iou"), ("Dice", "dice"))
    rows = [
        Row(name, [_plain(value) for _, score in kinds for value in comparison.values(f"{score}/{name}")])
        for name in comparison.class_names
    ]
    caption = "IoU and Dice of each class, in per cent"
    head = _by_model(comparison, [title for title, _ in kinds])
    return Table(caption=caption, label="Table of IoU and Dice per class", head=head, rows=rows)


def calibration(comparison: Comparison) -> Table:
    cells = _marked(comparison.values("ece"), lowest=True)
    rows = [
        Row(entry.name, [cells[index]], badge=Series(index).letter) for index, entry in enumerate(comparison.entries)
    ]
    caption = "Expected calibration error, in per cent: lower is better"
    return Table(caption=caption, label="Table of calibration errors", head=("model", "error %"), rows=rows)


def ranking(comparison: Comparison) -> Table:
    """Average precision and area under the ROC curve of each class and model."""
    rows = [
        Row(
            name,
            [
                *_marked(sections.average_precisions(comparison, name)),
                *_marked(sections.areas_under_roc(comparison, name)),
            ],
        )
        for name in comparison.class_names
    ]
    caption = "Average precision (AP) and area under the ROC curve (AUC), in per cent"
    head = _by_model(comparison, ["AP", "AUC"])
    return Table(caption=caption, label="Table of average precision and AUC", head=head, rows=rows, kind="compact")


def _by_model(comparison: Comparison, titles: Sequence[str]) -> list[str]:
    models = range(len(comparison.entries))
    return ["class", *(f"{title} {Series(index).letter}" for title in titles for index in models)]


def _score_cells(comparison: Comparison, column: Column) -> list[Cell]:
    notes = [wording.within(each.interval) if each.interval else "" for each in comparison.entries]
    return _marked(
        comparison.values(column.score),
        lowest=column.lowest,
        notes=notes if column.score == "miou" else (),
        comparable=comparison.means_are_alike or column.score not in CLASS_MEANS,
    )


def _marked(
    values: Sequence[float], *, lowest: bool = False, notes: Sequence[str] = (), comparable: bool = True
) -> list[Cell]:
    leaders = best(values, lowest=lowest) if comparable else []
    return [
        Cell(
            said=wording.bare(value),
            value=value if math.isfinite(value) else None,
            best=index in leaders,
            note=notes[index] if notes else "",
        )
        for index, value in enumerate(values)
    ]


def _plain(value: float) -> Cell:
    return Cell(said=wording.bare(value), value=value if math.isfinite(value) else None)


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
    leading = {text for text, value in zip(said, values, strict=True) if value is not None and value == wanted}
    leading = set() if leading == set(said) else leading  # where all are alike none is best
    return [Cell(said=text, value=value, best=text in leading) for text, value in zip(said, values, strict=True)]
