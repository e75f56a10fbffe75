"""Curves of several runs as one SVG, what the metric means, and the same in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from dashboard.parts.tables import COLOURS
from dashboard.training.runs import Points

WIDE, HIGH, EDGE, LEGEND = 760, 360, 56, 22
DASHES = ("", "9 4", "2 4", "12 4 2 4", "5 5", "1 6")
MOST = len(COLOURS)  # runs in one figure, which also differ by their dashes

MEANINGS: Mapping[str, str] = {
    "train_loss": "The loss that the training lowers, as a mean over the epoch's batches. Lower is better.",
    "val_loss": "The loss on pictures that the training never sees. Lower is better; when it rises while the training "
    "loss falls, the model learns its pictures by heart.",
    "miou": "Mean intersection over union on the validation pictures: of each class the overlap of mask and truth over "
    "their union, then the mean of the classes. 1 is perfect.",
    "pixel_acc": "The share of the validation pixels whose class is right. Large classes such as road dominate it.",
    "dice": "Twice the overlap of mask and truth over the sum of both, as a mean of the classes. 1 is perfect.",
    "lr": "The learning rate: how far each step moves the weights. The recipe's schedule sets it.",
    "train_time_sec": "Seconds that the epoch took in training.",
    "imgs_per_sec": "Pictures per second in training, with their preparation. Not the speed of inference.",
}
UNKNOWN = "A number that the training logged once an epoch."


INFERENCE = "inference_ms/"  # as an export and an evaluation name what they measured
NEITHER = frozenset({"lr"})  # of which no value is better than another


def lower_is_better(metric: str) -> bool:
    return metric.endswith(("loss", "/ece")) or metric == "train_time_sec" or metric.startswith(INFERENCE)


def meaning(metric: str) -> str:
    if metric.startswith("iou/"):
        return f"Intersection over union of the class {metric.removeprefix('iou/')} on the validation pictures."
    if metric.startswith(INFERENCE):
        return f"Milliseconds of one inference by {metric.removeprefix(INFERENCE)}, measured after the training."
    return MEANINGS.get(metric, UNKNOWN)


def reading(metric: str, curves: Mapping[str, Points]) -> str:
    """What the figure shows, from its numbers: of each run where it begins, ends and is best."""
    told = [_told(metric, name, points) for name, points in curves.items() if points]
    if not told:
        return f"None of these runs logged {metric}."
    ends = {name: _best(metric, points)[1] for name, points in curves.items() if points}
    if len(ends) > 1 and metric not in NEITHER:
        best = (min if lower_is_better(metric) else max)(ends.values())
        told.append(f"The best value is {' and '.join(name for name in ends if ends[name] == best)}'s.")
    return " ".join(told)


def _told(metric: str, name: str, points: Points) -> str:
    epoch, best = _best(metric, points)
    if len(points) == 1:
        return f"{name} has one value, {best:.4g} at epoch {epoch}."
    begins, ends = points[0][1], points[-1][1]
    word = "rises" if ends > begins else "falls" if ends < begins else "stays"
    return (
        f"{name} {word} from {begins:.4g} to {ends:.4g} in epochs {points[0][0]} to {points[-1][0]}, "
        f"with its {'highest' if metric in NEITHER else 'best'}, {best:.4g}, at epoch {epoch}."
    )


def _best(metric: str, points: Points) -> tuple[int, float]:
    return (min if lower_is_better(metric) else max)(points, key=lambda point: point[1])


def drawn(metric: str, curves: Mapping[str, Points]) -> str:
    """As SVG on a ground of its own, so that it reads in light and dark."""
    there = [(name, points) for name, points in curves.items() if points]
    epochs = [epoch for _, points in there for epoch, _ in points] or [0]
    values = [value for _, points in there for _, value in points] or [0.0]
    box = (min(epochs), max(epochs), min(values), max(values))
    high = HIGH + LEGEND * len(there)
    inner = _axes(metric, box) + "".join(_curve(at, name, points, box) for at, (name, points) in enumerate(there))
    frame = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {high}" width="{WIDE}" height="{high}"'
    ground = f'<rect width="{WIDE}" height="{high}" fill="#fff"/>'
    return f'<svg {frame} font-family="sans-serif" font-size="14">{ground}{inner}</svg>'


Box = tuple[int, int, float, float]


def _place(point: tuple[int, float], box: Box) -> tuple[float, float]:
    first, last, low, high = box
    across = (point[0] - first) / (last - first or 1)
    up = (point[1] - low) / (high - low or 1)
    return EDGE + across * (WIDE - 2 * EDGE), HIGH - EDGE - up * (HIGH - 2 * EDGE)


def _axes(metric: str, box: Box) -> str:
    first, last, low, high = box
    bottom = HIGH - EDGE
    axes = f'<path d="M{EDGE} {EDGE}V{bottom}H{WIDE - EDGE}" fill="none" stroke="#000"/>'
    texts = [
        (EDGE - 6, EDGE - 18, "start", metric),
        (EDGE - 6, EDGE + 5, "end", f"{high:.3g}"),
        (EDGE - 6, bottom, "end", f"{low:.3g}"),
        (EDGE, bottom + 20, "start", f"epoch {first}"),
        (WIDE - EDGE, bottom + 20, "end", str(last)),
    ]
    return axes + "".join(f'<text x="{x}" y="{y}" text-anchor="{to}">{escape(told)}</text>' for x, y, to, told in texts)


def _curve(at: int, name: str, points: Points, box: Box) -> str:
    colour, dash = COLOURS[at % MOST], DASHES[at % MOST]
    places = [_place(point, box) for point in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    style = f'fill="none" stroke="{colour}" stroke-width="2.5" stroke-dasharray="{dash}"'
    x, y = places[-1]
    legend = HIGH + LEGEND * at
    return (
        f'<polyline points="{line}" {style}/><circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
        f'<path d="M{EDGE} {legend - 5}h48" {style}/><text x="{EDGE + 58}" y="{legend}">{escape(name)}</text>'
    )


def rows(curves: Mapping[str, Points]) -> list[Sequence[object]]:
    """A row an epoch, a column a run: the figure's numbers."""
    by_run = [dict(points) for points in curves.values()]
    epochs = sorted({epoch for points in by_run for epoch in points})
    return [[epoch, *(f"{run[epoch]:.4g}" if epoch in run else "–" for run in by_run)] for epoch in epochs]
