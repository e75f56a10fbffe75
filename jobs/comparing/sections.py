"""What the page of a job says in numbers and sentences, from the job's comparison document."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jobs.comparing.pages import parts, wording
from jobs.comparing.pages.parts import LETTERS, Cell, Html, Row, Table, badge_of
from segmentation.measures.bootstrap import Interval

Document = Mapping[str, Any]

SCORES = (
    "Scores of each model. The best value of a column, as printed, is marked “best”; whether a lead is more than "
    "chance is said with the pairs. Small print: 95 % interval."
)
PAIRS = "Every two models: how far they say the same and, with a truth, who is right where the other is wrong."
OTHER_CLASSES = (
    "The models' means are over different classes, as not every model can give each of them: they are compared in "
    "pairs, over the classes that both can give."
)
HEADS = ("same pixels %", "mIoU between %", "only the first right %", "only the second right %", "difference of mIoU")
METHOD = (
    "Shares and scores are of all pixels of all images together, never means of images. Pixels for which no model says "
    "a class, and those that are not labelled in a truth, count nowhere. Intervals: 95 %, paired bootstrap over the "
    "images, each pair by itself; images are taken to be independent: where neighbours come from one drive, true "
    "intervals are wider."
)
FILES = "The same numbers are in <code>comparison.csv</code> and, within this page, in <code>#comparison-data</code>."


def top(document: Document) -> Html:
    items = "\n".join(
        f'<li>{badge_of(letter)} <span class="who"><strong>{parts.text(each["model"])}</strong></span></li>'
        for letter, each in zip(LETTERS, document["models"], strict=False)
    )
    return Html(f'  <ol class="subjects">\n{items}\n  </ol>')


def lead(document: Document) -> str:
    images = document["images"]
    total = wording.counted(images["total"], "image")
    told = f"{images['compared']} of {total}, {images['with_truth']} with ground truth"
    return f"{told}; label space {document['label_space']}."


def summary(document: Document) -> list[str]:
    """Who leads, and whether that may be chance; how far the models differ."""
    share = wording.percent(_number(document["disagreement"]))
    return [*_who_leads(document), f"The models differ by {share}."]


def warned(warnings: Mapping[str, int]) -> list[str]:
    """warnings: images by the code of each."""
    counts = ", ".join(f"{count} {code}" for code, count in warnings.items())
    return [f"Images with warnings: {counts}."] if counts else []


def scores(document: Document) -> Table:
    """Of each model."""
    truths = [each["metrics"].get("ground_truth") or {} for each in document["models"]]
    intervals = [_interval(each["miou_interval"]) for each in document["models"]]
    notes = [wording.within(each) if each else "" for each in intervals]
    alike = _means_are_alike(document)
    columns = [
        _cells([each.get("miou") for each in truths], notes, marked=alike),
        _cells([each.get("mean_dice") for each in truths], marked=alike),
        _cells([each.get("pixel_accuracy") for each in truths]),
        _cells([each["metrics"].get("mean_confidence") for each in document["models"]], marked=False),
    ]
    rows = [
        Row(each["model"], [column[place] for column in columns], badge=LETTERS[place])
        for place, each in enumerate(document["models"])
    ]
    head = ("model", "mIoU %", "Dice %", "pixel accuracy %", "mean confidence %")
    return Table(caption=SCORES, label="Table of scores", head=head, rows=rows, kind="scores", sortable=True)


def pairs(document: Document) -> Table:
    rows = []
    for pair in document["pairs"]:
        truth = pair["ground_truth"] or {}
        interval = _interval(truth.get("interval"))
        chance = {True: "beyond chance", False: "may be chance", None: ""}[truth.get("beyond_chance")]
        difference = _number(truth.get("miou_difference"))
        told = f"{wording.between(interval)}, {chance}" if interval else ""
        lacking = pair.get("without_classes")
        between = replace(_plain(pair["miou"]), note=f"without {', '.join(lacking)}" if lacking else "")
        rights = [_plain(truth.get(each)) for each in ("first_right", "second_right")]
        said = f"{wording.signed(difference)} points" if math.isfinite(difference) else wording.NONE
        cells = [_plain(pair["agreement"]), between, *rights, Cell(said=said, note=told)]
        rows.append(Row(" | ".join(pair["models"]), cells))
    return Table(caption=PAIRS, label="Table of pairs", head=("pair", *HEADS), rows=rows)


def classes(document: Document) -> Table:
    """Share of the pixels and IoU, by class and model."""
    letters = LETTERS[: len(document["models"])]
    kinds = (("share", "fraction"), ("IoU", "iou")) if document["images"]["with_truth"] else (("share", "fraction"),)
    rows = [
        Row(each["name"], [_plain(told[key]) for _, key in kinds for told in each["models"]])
        for each in document["classes"]
    ]
    head = ["class", *(f"{title} {letter}" for title, _ in kinds for letter in letters)]
    caption = "How much of the pixels each model gives to a class and, with a truth, its IoU, in per cent"
    return Table(caption=caption, label="Table of classes", head=head, rows=rows)


def method() -> Html:
    return parts.joined(parts.paragraph(METHOD), f"  <p>{FILES}</p>")


def _means_are_alike(document: Document) -> bool:
    """Whether the means are over the same classes: each model's leave out those that it has no way to give, and all
    of them those that the masks have no way to show."""
    left_out = [
        {*metrics.get("impossible_classes", ()), *(metrics.get("ground_truth") or {}).get("unmarked_classes", ())}
        for metrics in (each["metrics"] for each in document["models"])
    ]
    return all(each == left_out[0] for each in left_out)


def _who_leads(document: Document) -> list[str]:
    if not _means_are_alike(document) and document["images"]["with_truth"]:
        return [OTHER_CLASSES, *_beyond_chance(document)]
    values = [_number((each["metrics"].get("ground_truth") or {}).get("miou")) for each in document["models"]]
    leading = parts.leaders(values, lowest=False)
    if not leading:
        return []
    names = [f"{LETTERS[place]}, {document['models'][place]['model']}," for place in leading]
    has = "has" if len(names) == 1 else "have"
    highest = wording.percent(values[leading[0]])
    return [f"{wording.listed(names)} {has} the highest mIoU: {highest}.", *_beyond_chance(document)]


def _beyond_chance(document: Document) -> list[str]:
    judged = [pair for pair in document["pairs"] if (pair["ground_truth"] or {}).get("beyond_chance") is not None]
    return [_pair_sentence(pair) for pair in judged]


def _pair_sentence(pair: Document) -> str:
    truth, (one, other) = pair["ground_truth"], pair["models"]
    difference, (low, high) = truth["miou_difference"], truth["interval"]
    if difference == 0:
        return f"{one} and {other} have the same mIoU."
    if difference < 0:
        one, other, difference, low, high = other, one, -difference, -high, -low
    ends = f"(95 % interval {wording.between(Interval(low, high))})"
    if truth["beyond_chance"]:
        return f"{one} is better than {other} by {wording.points(difference)} of mIoU {ends}."
    return f"{one} scores {wording.points(difference)} of mIoU above {other}, which may be chance {ends}."


def _cells(values: Sequence[float | None], notes: Sequence[str] = (), *, marked: bool = True) -> list[Cell]:
    leading = parts.best([_number(each) for each in values]) if marked else []
    return [
        Cell(
            said=wording.bare(_number(value)),
            value=value,
            best=place in leading,
            note=notes[place] if notes else "",
        )
        for place, value in enumerate(values)
    ]


def _plain(value: float | None) -> Cell:
    return Cell(said=wording.bare(_number(value)), value=value)


def _interval(ends: Sequence[float] | None) -> Interval | None:
    return None if ends is None else Interval(ends[0], ends[1])


def _number(value: float | None) -> float:
    return math.nan if value is None else value
