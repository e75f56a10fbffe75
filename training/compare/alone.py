"""What the page of one model says: the sentences of readings.py that name the better of several stand here for one."""

import math

from jobs.comparing.pages.wording import counted, listed, milliseconds, percent, within
from training.compare.findings import Comparison, Entry
from training.compare.readings import Sentences, learnt, letter, unmarked, unnamed

ABOUT = (
    "The pictures with the largest share of wrong pixels, the worst first: the picture, its truth, what the model says "
    "and, striped, where it is wrong. Void, the pixels that are not labelled, is black in the truth and counts nowhere."
)
WEAKEST = 3  # classes that are named


def summary(comparison: Comparison) -> Sentences:
    if not comparison.class_names:
        return ["No pixel of these pictures has a known class: nothing can be scored."]
    return [
        *scores(comparison),
        *_weakest(_entry(comparison), "iou", "IoU"),
        *_speed(_entry(comparison)),
        *unnamed(comparison),
        *unmarked(comparison),
        *learnt(comparison),
    ]


def scores(comparison: Comparison) -> Sentences:
    entry = _entry(comparison)
    spread = "" if entry.interval is None else f" (95 % interval {within(entry.interval)})"
    accuracy = percent(entry.scores["pixel_accuracy"])
    pictures = counted(comparison.facts.picture_count, "picture")
    miou = f"{entry.name} has an mIoU of {percent(entry.miou)}{spread}"
    return [f"{miou} and a pixel accuracy of {accuracy} on {pictures}."]


def classes(comparison: Comparison) -> Sentences:
    told = _weakest(_entry(comparison), "dice", "Dice")
    if comparison.absent_names:
        told.append(f"Not in these pictures: {listed(comparison.absent_names)}.")
    return told


def pictures(comparison: Comparison) -> Sentences:
    if not comparison.shown:
        return []
    worst = max(comparison.shown, key=lambda each: each.disagreement)
    wrong, mean = percent(worst.disagreement), percent(comparison.disagreement)
    return [f"Of {worst.name} {wrong} of the labelled pixels are wrong, of the average picture {mean}."]


def ranking(comparison: Comparison) -> Sentences:
    entry = _entry(comparison)
    if not math.isfinite(entry.scores.get("mean_ap", math.nan)):
        return []
    areas = {name: entry.evaluation.pr(name).area for name in comparison.class_names if name not in entry.unscored}
    known = {name: area for name, area in areas.items() if math.isfinite(area)}
    worst = min(known, key=known.__getitem__)
    precision, area = percent(entry.scores["mean_ap"]), percent(entry.scores["mean_auc"])
    return [
        f"The mean average precision is {precision}, the mean area under the ROC curves {area}.",
        f"{letter(0)} tells {worst} apart worst: average precision {percent(known[worst])}.",
    ]


def _entry(comparison: Comparison) -> Entry:
    (entry,) = comparison.entries
    return entry


def _weakest(entry: Entry, score: str, title: str) -> Sentences:
    names = [name for name in entry.evaluation.class_names if name not in entry.unscored]
    known = {name: entry.scores[f"{score}/{name}"] for name in names}
    finite = sorted((value, name) for name, value in known.items() if math.isfinite(value))
    weakest = [f"{name} {percent(value)}" for value, name in finite[:WEAKEST]]
    return [f"Its lowest {title}: {listed(weakest)}."] if weakest else []


def _speed(entry: Entry) -> Sentences:
    if entry.latency is None:
        return []
    took = milliseconds(entry.latency.median_ms)
    return [f"One inference takes {took} in {entry.latency.engine} on {entry.latency.device} (median)."]
