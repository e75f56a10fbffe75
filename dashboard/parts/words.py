"""Numbers in words. What a picture or figure shows is told from its numbers, for those who do not see it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

NAMED = 6  # classes that a text alternative names
_MARKS = re.compile(r"(?=[!-/:-@\[-`{-~])")  # what Markdown may take for a sign


def plain(text: object) -> str:
    """As Markdown that shows the text as it is: names and messages are whoever's.

    Source: CommonMark 0.31, section 2.4: a backslash before punctuation makes it mean itself.
    """
    return _MARKS.sub(r"\\", str(text))


def percent(share: float | None, digits: int = 0) -> str:
    return "–" if share is None else f"{share * 100:.{digits}f} %"


def seconds(value: float | None) -> str:
    if value is None:
        return "unknown"
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"


def moment(text: str | None) -> str:
    """A timestamp of the service, in UTC."""
    return "–" if text is None else datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S")


def shares(metrics: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Classes by their share of the pixels, the largest first."""
    fractions: Mapping[str, float] = metrics.get("class_fractions") or {}
    return sorted(((name, share) for name, share in fractions.items() if share > 0), key=lambda pair: -pair[1])


def image_alt(row: Mapping[str, Any]) -> str:
    """Of an image of a job with its mask."""
    told = [str(row["name"])]
    if row.get("width"):
        told.append(f"{row['width']} × {row['height']} pixels")
    metrics = row.get("metrics") or {}
    largest = shares(metrics)
    if largest:
        more = f" and {len(largest) - NAMED} more" if len(largest) > NAMED else ""
        told.append("it shows " + ", ".join(f"{name} {percent(share)}" for name, share in largest[:NAMED]) + more)
    if metrics.get("mean_confidence") is not None:
        told.append(f"mean confidence {percent(metrics['mean_confidence'])}")
    truth = metrics.get("ground_truth") or {}
    if truth.get("miou") is not None:
        told.append(f"mIoU {percent(truth['miou'], 1)} against its ground truth")
    return "; ".join(told) + "."


def left_out(models: Sequence[Mapping[str, Any]]) -> str | None:
    """Which classes the means of a comparison's models are without; None where model and masks lack none."""
    lacking = {each["model"]: each["metrics"].get("impossible_classes") for each in models}
    told = [f"{model} has no way to give {', '.join(names)}" for model, names in lacking.items() if names]
    truths = (each["metrics"].get("ground_truth") or {} for each in models)
    unmarked = dict.fromkeys(name for truth in truths for name in truth.get("unmarked_classes", ()))
    if unmarked:
        told.append(f"the masks have no way to show {', '.join(unmarked)}")
    if not told:
        return None
    return f"{'; '.join(told)}: a model's means are without them, two models are compared over what both can give."


def scores_reading(pairs: Sequence[Mapping[str, Any]]) -> str:
    """Of every two models, which is better, and whether that may be chance."""
    told = []
    for each in pairs:
        judged = each["ground_truth"] or {}
        difference = judged.get("miou_difference")
        if difference is not None:
            if difference == 0:
                told.append(f"{each['models'][0]} and {each['models'][1]} have the same mIoU.")
                continue
            better, other = each["models"] if difference > 0 else reversed(each["models"])
            chance = {True: ", which is beyond chance", False: ", which may be chance"}.get(judged["beyond_chance"], "")
            told.append(f"{better} scores {abs(difference) * 100:.1f} points of mIoU above {other}{chance}.")
    return " ".join(told) or "Without ground truth no model can be called better: it is told where they agree."


def classes_reading(title: str, models: Sequence[str], rows: Sequence[tuple[str, Sequence[float | None]]]) -> str:
    """rows: (class, a value of each model). In how many classes each is highest, and where they lie farthest apart."""
    known = [(name, [value for value in values if value is not None]) for name, values in rows]
    known = [(name, values) for name, values in known if len(values) == len(models)]
    if not known:
        return f"{title}: no class is known of every model."
    highest = [sum(values[at] == max(values) for _, values in known) for at in range(len(models))]
    leads = ", ".join(f"{model} in {count}" for model, count in zip(models, highest, strict=True))
    name, values = max(known, key=lambda each: max(each[1]) - min(each[1]))
    apart = " and ".join(f"{percent(value, 1)} ({model})" for model, value in zip(models, values, strict=True))
    many = counted(len(known), "class", "classes")
    return f"Highest {title}, of {many}: {leads}. They lie farthest apart in {name}: {apart}."


def counted(number: int, thing: str, things: str = "") -> str:
    """1 image, 2 images; things: where it is not the thing with an s."""
    return f"{number} {thing if number == 1 else things or thing + 's'}"


def progress(state: Mapping[str, Any]) -> str:
    """How far a job is: images, rate and rest."""
    images = state["images"]
    ended = sum(images[name] for name in ("succeeded", "failed", "canceled"))
    told = [f"{state['status']}: {ended} of {counted(images['total'], 'image')}"]
    if images["failed"]:
        told.append(f"{images['failed']} failed")
    if state.get("images_per_second"):
        told.append(f"{state['images_per_second']:.1f} images per second")
    if state["status"] == "queued" and state.get("queue_position"):
        told.append(f"{counted(state['queue_position'], 'job')} before it")
    if state["status"] in ("queued", "running") and state.get("eta_seconds") is not None:
        told.append(f"about {seconds(state['eta_seconds'])} left")
    if state.get("waiting_for"):
        told.append(f"it waits for the {state['waiting_for'].replace('_', ' ')}")
    return ", ".join(told)


def passed_over(state: Mapping[str, Any]) -> str | None:
    """What came along with a job's pictures and became none of its images."""
    skipped = state.get("skipped") or {}
    if not skipped.get("count"):
        return None
    count, examples = skipped["count"], ", ".join(skipped["examples"])
    said = f"{counted(count, 'file')} {'was' if count == 1 else 'were'} passed over"
    return f"{said} (no pictures, or masks that are not needed): {examples}"


def extremes(label: str, points: Sequence[tuple[str, float]], unit: str = "") -> str:
    """Of a row of numbers: how many there are, the highest and the lowest."""
    if not points:
        return f"{label}: nothing was measured."
    high, low = max(points, key=lambda point: point[1]), min(points, key=lambda point: point[1])
    span = f"the highest is {high[0]} with {high[1]:.3g}{unit}, the lowest {low[0]} with {low[1]:.3g}{unit}"
    return f"{label} of {len(points)}: {span}."
