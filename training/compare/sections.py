"""The figures of a comparison: which values go into which drawing, with a text that tells the same."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from jobs.comparing.pages.wording import (
    MINUS,
    bare,
    between,
    listed,
    milliseconds,
    number,
    parameters,
    percent,
    signed,
    tick,
)
from segmentation.measures.score_curves import Curve as ScoreCurve
from training.compare.figures.charts import Labels, Line, Spot, Whisker, bars, curves, dots, scatter, whiskers
from training.compare.figures.frame import Axis
from training.compare.figures.scales import around, around_log, spread_widely
from training.compare.figures.series import Series
from training.compare.findings import Comparison
from training.compare.readings import letter
from training.evaluate.evaluation import Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A number of each epoch. shares: told in per cent."""

    key: str
    title: str
    shares: bool = False


# What a training logs, in the order of the page.
CURVES = (
    Curve(key="train_loss", title="Loss in training"),
    Curve(key="val_loss", title="Loss in validation"),
    Curve(key="miou", title="mIoU in validation", shares=True),
    Curve(key="pixel_acc", title="Pixel accuracy in validation", shares=True),
    Curve(key="lr", title="Learning rate"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreKind:
    """of: the curve of a class. ideal: also the diagonal, which is guessing."""

    key: str
    title: str
    x: str
    y: str
    of: Callable[[Evaluation, str], ScoreCurve]
    ideal: bool = False


ROC = ScoreKind(
    key="roc", title="ROC curve", x="false positive rate", y="true positive rate", of=Evaluation.roc, ideal=True
)
PR = ScoreKind(key="pr", title="Precision-recall curve", x="recall", y="precision", of=Evaluation.pr)
CURVE_STEP = 1 / 64  # of a side: points of a curve that lie closer are not drawn


def class_bars(comparison: Comparison, score: str, title: str) -> Markup:
    """score: iou or dice."""
    rows = [(name, comparison.values(f"{score}/{name}")) for name in comparison.class_names]
    told = [f"{name}: {_each(values, percent)}" for name, values in rows]
    labels = Labels(key=f"bars-{score}", title=f"{title} of each class", description=". ".join(told))
    return bars(labels, rows, Axis(label=title, low=0, high=1, say=tick), say=bare)


def score_intervals(comparison: Comparison) -> Markup:
    rows = [
        Whisker(
            name=letter(index),
            value=entry.miou,
            low=entry.interval.low if entry.interval else math.nan,
            high=entry.interval.high if entry.interval else math.nan,
            note=percent(entry.miou),
            series=Series(index),
        )
        for index, entry in enumerate(comparison.entries)
        if math.isfinite(entry.miou)
    ]
    told = [f"{row.name} {row.note}{_ends(row)}" for row in rows]
    labels = Labels(key="miou", title="mIoU with its 95 % interval", description=". ".join(told))
    return whiskers(labels, rows, _axis("mIoU in per cent", rows, tick), zero=False)


def pair_intervals(comparison: Comparison) -> Markup:
    rows = [
        Whisker(
            name=f"{letter(pair.first)} {MINUS} {letter(pair.second)}",
            value=pair.difference,
            low=pair.interval.low if pair.interval else math.nan,
            high=pair.interval.high if pair.interval else math.nan,
            note=signed(pair.difference) + (f" ({between(pair.interval)})" if pair.interval else ""),
        )
        for pair in comparison.pairs
        if math.isfinite(pair.difference)
    ]
    told = [f"{row.name}: {row.note} points" for row in rows]
    labels = Labels(key="pairs", title="Differences of mIoU with their 95 % intervals", description=". ".join(told))
    return whiskers(labels, rows, _axis("difference of mIoU in points", rows, tick, zero=True), zero=True)


def training_curves(comparison: Comparison) -> list[tuple[str, Markup]]:
    """(title, drawing) of each number that some training logged."""
    drawn = []
    for curve in CURVES:
        lines = [(Series(index), _points(entry.history, curve.key)) for index, entry in enumerate(comparison.entries)]
        known = [(series, points) for series, points in lines if points]
        if known:
            drawn.append((curve.title, _training_curve(curve, known)))
    return drawn


def reliability(comparison: Comparison) -> Markup | None:
    lines = []
    for index, entry in enumerate(comparison.entries):
        counts = entry.evaluation.calibration
        if counts is not None:
            places = zip(counts.confidence.tolist(), counts.accuracy.tolist(), strict=True)
            lines.append((Series(index), [place for place in places if math.isfinite(place[0])]))
    if not any(points for _, points in lines):
        return None
    told = [
        f"{series.letter}: " + ", ".join(f"{percent(right)} right at {percent(sure)}" for sure, right in points)
        for series, points in lines
    ]
    labels = Labels(key="reliability", title="Accuracy by confidence", description=". ".join(told))
    across = Axis(label="confidence in per cent", low=0, high=1, say=tick)
    return curves(labels, lines, across, Axis(label="right, in per cent", low=0, high=1, say=tick), ideal=True)


def score_curves(comparison: Comparison) -> list[tuple[str, Markup, Markup]]:
    """(class, its ROC curves, its precision-recall curves) of each class for which some model has them."""
    drawn = []
    for place, name in enumerate(comparison.class_names):
        roc, pr = (_score_curve(comparison, name, f"{kind.key}-{place}", kind) for kind in (ROC, PR))
        if roc is not None and pr is not None:
            drawn.append((name, roc, pr))
    return drawn


def precision_dots(comparison: Comparison) -> Markup | None:
    rows = [(name, average_precisions(comparison, name)) for name in comparison.class_names]
    if not any(math.isfinite(value) for _, values in rows for value in values):
        return None
    told = [f"{name}: {_each(values, percent)}" for name, values in rows]
    labels = Labels(key="precision", title="Average precision of each class", description=". ".join(told))
    return dots(labels, rows, Axis(label="average precision in per cent", low=0, high=1, say=tick))


def average_precisions(comparison: Comparison, name: str) -> tuple[float, ...]:
    return tuple(
        entry.evaluation.pr(name).area if entry.evaluation.score_histograms is not None else math.nan
        for entry in comparison.entries
    )


def areas_under_roc(comparison: Comparison, name: str) -> tuple[float, ...]:
    return tuple(
        entry.evaluation.roc(name).area if entry.evaluation.score_histograms is not None else math.nan
        for entry in comparison.entries
    )


def cost_scatter(comparison: Comparison) -> Markup | None:
    """Against the time for a picture; against the number of parameters when nothing was timed."""
    timed = all(entry.latency is not None for entry in comparison.entries)
    costs = [entry.latency.median_ms if entry.latency else entry.parameters / 1e6 for entry in comparison.entries]
    if not timed:
        costs = [entry.parameters / 1e6 for entry in comparison.entries]
    if not all(math.isfinite(entry.miou) for entry in comparison.entries):
        return None
    largest = max(entry.size_bytes for entry in comparison.entries) or 1
    spots = [
        Spot(
            series=Series(index),
            x=cost,
            y=entry.miou,
            radius=6 + 22 * math.sqrt(entry.size_bytes / largest),
            note=f"{letter(index)}, {parameters(entry.parameters)}",
            low=entry.interval.low if entry.interval else math.nan,
            high=entry.interval.high if entry.interval else math.nan,
        )
        for index, (entry, cost) in enumerate(zip(comparison.entries, costs, strict=True))
    ]
    say = milliseconds if timed else number
    unit = "time for a picture in milliseconds" if timed else "parameters in millions"
    told = [
        f"{spot.series.letter}: {unit.partition(' in ')[0]} {say(spot.x)}, mIoU {percent(spot.y)}" for spot in spots
    ]
    labels = Labels(key="cost", title="mIoU against cost", description=". ".join(told))
    return scatter(labels, spots, _cost_axis(unit, costs), _score_axis(spots))


def _cost_axis(label: str, costs: Sequence[float]) -> Axis:
    logarithmic = spread_widely(costs)
    low, high = around_log(costs) if logarithmic else (0.0, max(costs) * 1.25)
    told = f"{label} (logarithmic)" if logarithmic else label
    return Axis(label=told, low=low, high=high, say=number, logarithmic=logarithmic)


def _score_axis(spots: Sequence[Spot]) -> Axis:
    ends = [value for spot in spots for value in (spot.y, spot.low, spot.high)]
    low, high = around(ends)
    room = (high - low) * 0.15
    return Axis(label="mIoU in per cent", low=max(0, low - room), high=min(1, high + room), say=tick)


def _training_curve(curve: Curve, lines: Sequence[Line]) -> Markup:
    epochs = [epoch for _, points in lines for epoch, _ in points]
    values = [value for _, points in lines for _, value in points]
    say = percent if curve.shares else number
    told = [
        f"{series.letter} goes from {say(points[0][1])} after epoch {points[0][0]:.0f} to {say(points[-1][1])} after "
        f"epoch {points[-1][0]:.0f}; lowest {say(min(value for _, value in points))}, highest "
        f"{say(max(value for _, value in points))}"
        for series, points in lines
    ]
    labels = Labels(key=f"curve-{curve.key}", title=curve.title, description=". ".join(told))
    across = Axis(label="epoch", low=min(0, *epochs), high=max(1, *epochs), say=number)
    low, high = around(values)
    unit = " in per cent" if curve.shares else ""
    label = f"{curve.title.split(' in ')[0]}{unit}"
    return curves(labels, lines, across, Axis(label=label, low=low, high=high, say=tick if curve.shares else number))


def _score_curve(comparison: Comparison, name: str, key: str, kind: ScoreKind) -> Markup | None:
    lines, told = [], []
    for index, entry in enumerate(comparison.entries):
        if entry.evaluation.score_histograms is None:
            continue
        curve = kind.of(entry.evaluation, name)
        if math.isfinite(curve.area):
            lines.append((Series(index), _thinned(curve)))
            told.append(f"{letter(index)}: area {percent(curve.area)}")
    if not lines:
        return None
    labels = Labels(key=key, title=f"{kind.title} of {name}", description=". ".join(told))
    x, y = (Axis(label=f"{each} in per cent", low=0, high=1, say=tick) for each in (kind.x, kind.y))
    return curves(labels, lines, x, y, ideal=kind.ideal)


def _thinned(curve: ScoreCurve) -> list[tuple[float, float]]:
    points = list(zip(curve.x.tolist(), curve.y.tolist(), strict=True))
    kept = points[:1]
    for x, y in points[1:-1]:
        if math.hypot(x - kept[-1][0], y - kept[-1][1]) >= CURVE_STEP:
            kept.append((x, y))
    return [*kept, points[-1]]


def _points(history: Sequence[Mapping[str, float]], key: str) -> list[tuple[float, float]]:
    """(epoch, value) of the epochs that logged it; a value that is no number is left out."""
    logged = [(epoch["epoch"], epoch[key]) for epoch in history if epoch.get(key) is not None]
    return [(float(epoch), float(value)) for epoch, value in logged if math.isfinite(value)]


def _axis(label: str, rows: Sequence[Whisker], say: Callable[[float], str], *, zero: bool = False) -> Axis:
    ends = [value for row in rows for value in (row.value, row.low, row.high)]
    low, high = around([*ends, 0.0] if zero else ends)
    return Axis(label=label, low=low, high=high, say=say)


def _ends(row: Whisker) -> str:
    return f", from {percent(row.low)} to {percent(row.high)}" if math.isfinite(row.low) else ""


def _each(values: Sequence[float], say: Callable[[float], str]) -> str:
    return listed([f"{letter(index)} {say(value)}" for index, value in enumerate(values)])
