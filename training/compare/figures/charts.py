"""The kinds of drawing: bars, curves, intervals, a scatter, dots. They know values, not what these mean."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from training.compare.figures.frame import Axis, Frame
from training.compare.figures.scales import Scale
from training.compare.figures.series import Series
from training.compare.figures.svg import drawing, element, joined, line, text

Say = Callable[[float], str]  # a value as a reader should see it
Line = tuple[Series, Sequence[tuple[float, float]]]  # a model's points, by x

BAR, BAR_GAP, ROW_GAP = 13, 2, 13
DOT_STEP = 7
LETTER_HEIGHT = 13
CHART_WIDTH = 540


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """key: unique on the page. description: what the drawing shows, for those who do not see it."""

    key: str
    title: str
    description: str


def bars(labels: Labels, rows: Sequence[tuple[str, Sequence[float]]], axis: Axis, *, say: Say) -> Markup:
    """Level bars in groups. rows: name of the group, and a value for each model; NaN leaves its bar out.

    axis: from 0. say: a value as it stands at the end of its bar.
    """
    left = 16 + 7 * max((len(name) for name, _ in rows), default=0)
    scale = Scale(axis.low, axis.high, left, CHART_WIDTH - 52)
    heights = [len(values) * (BAR + BAR_GAP) + ROW_GAP for _, values in rows]
    bottom = 8 + sum(heights)
    parts = [_level_grid(scale, bottom, axis.say)]
    top = 8.0
    for (name, values), height in zip(rows, heights, strict=True):
        middle = top + (height - ROW_GAP) / 2
        parts.append(text(left - 8, middle, name, class_="name", text_anchor="end", dy="0.35em"))
        parts += [
            _bar(Series(number), scale, top + number * (BAR + BAR_GAP), value, f"{name}: {say(value)}")
            for number, value in enumerate(values)
        ]
        top += height
    return drawing(labels.key, (CHART_WIDTH, bottom + 24), parts, title=labels.title, description=labels.description)


def curves(
    labels: Labels,
    lines: Sequence[tuple[Series, Sequence[tuple[float, float]]]],
    x: Axis,
    y: Axis,
    *,
    ideal: bool = False,
) -> Markup:
    """A curve with markers for each model. ideal: also the diagonal, where both values are equal."""
    frame = Frame(x, y)
    parts = [frame.drawn()]
    if ideal:
        low, high = max(x.low, y.low), min(x.high, y.high)
        ends = (frame.x(low), frame.y(low), frame.x(high), frame.y(high))
        parts.append(line(*ends, class_="ideal"))
    placed = [(series, [(frame.x(a), frame.y(b)) for a, b in points]) for series, points in lines if points]
    parts += [_curve(series, points) for series, points in placed]
    parts.append(_end_letters([(series, points[-1]) for series, points in placed]))
    return drawing(labels.key, frame.size, parts, title=labels.title, description=labels.description)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisker:
    """A value with its interval. series: whose marker stands there; None: a plain one."""

    name: str
    value: float
    low: float
    high: float
    note: str
    series: Series | None = None


def whiskers(labels: Labels, rows: Sequence[Whisker], axis: Axis, *, zero: bool) -> Markup:
    """One row for each value; zero: a line where there is no difference."""
    left = 16 + 7.2 * max((len(row.name) for row in rows), default=0)
    right = 16 + 6.6 * max((len(row.note) for row in rows), default=0)
    width = max(CHART_WIDTH, left + right + 300)
    scale = Scale(axis.low, axis.high, left, width - right)
    bottom = 10 + 34 * len(rows)
    parts = [_level_grid(scale, bottom, axis.say)]
    if zero:
        parts.append(line(scale(0), 4, scale(0), bottom, class_="zero"))
    for number, row in enumerate(rows):
        parts.append(_whisker(row, scale, 27 + 34 * number, width - right))
    parts.append(text((left + width - right) / 2, bottom + 38, axis.label, class_="label", text_anchor="middle"))
    return drawing(labels.key, (width, bottom + 48), parts, title=labels.title, description=labels.description)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A place in a scatter; radius in units of the drawing; low, high: ends of an upright whisker."""

    series: Series
    x: float
    y: float
    radius: float
    note: str
    low: float = math.nan
    high: float = math.nan


def scatter(labels: Labels, spots: Sequence[Spot], x: Axis, y: Axis) -> Markup:
    frame = Frame(x, y, width=720, height=380)
    largest_first = sorted(spots, key=lambda each: -each.radius)
    parts = [frame.drawn(), *(_spot(spot, frame) for spot in largest_first)]
    return drawing(labels.key, frame.size, parts, title=labels.title, description=labels.description)


def dots(labels: Labels, rows: Sequence[tuple[str, Sequence[float]]], axis: Axis) -> Markup:
    """One row for each name, with a marker for each model, joined from the lowest to the highest."""
    left = 16 + 7 * max((len(name) for name, _ in rows), default=0)
    scale = Scale(axis.low, axis.high, left, CHART_WIDTH - 20)
    height = 16 + DOT_STEP * max((len(values) for _, values in rows), default=0)
    bottom = 8 + height * len(rows)
    parts = [_level_grid(scale, bottom, axis.say)]
    for number, (name, values) in enumerate(rows):
        parts.append(_dots(name, values, scale, 8 + height * (number + 0.5)))
    parts.append(text((left + CHART_WIDTH - 20) / 2, bottom + 38, axis.label, class_="label", text_anchor="middle"))
    return drawing(labels.key, (CHART_WIDTH, bottom + 48), parts, title=labels.title, description=labels.description)


def _level_grid(scale: Scale, bottom: float, say: Say) -> Markup:
    return joined(
        line(scale(tick), 4, scale(tick), bottom, class_="grid")
        + text(scale(tick), bottom + 16, say(tick), class_="tick", text_anchor="middle")
        for tick in scale.ticks()
    )


def _dots(name: str, values: Sequence[float], scale: Scale, middle: float) -> Markup:
    """Markers one below the other, so that equal values do not hide each other."""
    known = [value for value in values if math.isfinite(value)]
    parts = [text(scale.start - 8, middle, name, class_="name", text_anchor="end", dy="0.35em")]
    if known:
        parts.append(line(scale(min(known)), middle, scale(max(known)), middle, class_="span"))
    for number, value in enumerate(values):
        if math.isfinite(value):
            y = middle + (number - (len(values) - 1) / 2) * DOT_STEP
            parts.append(Series(number).marker(scale(value), y, 4.2))
    return joined(parts)


def _bar(series: Series, scale: Scale, top: float, value: float, told: str) -> Markup:
    middle = top + BAR / 2
    letter = text(scale.start + 3, middle, series.letter, class_="bar-letter", dy="0.35em")
    if not math.isfinite(value):
        return text(scale.start + 4, middle, f"{series.letter} does not occur", class_="value", dy="0.35em")
    width = max(0.5, scale(value) - scale.start)
    bar = element(
        "rect",
        element("title", f"{series.letter}, {told}"),
        x=scale.start,
        y=top,
        width=width,
        height=BAR,
        fill=f"url(#{series.hatch})",
        class_=f"bar {series.css}",
    )
    number = text(scale.start + width + 5, middle, told.rpartition(": ")[2], class_="value", dy="0.35em")
    return bar + (letter if width > 18 else Markup("")) + number


def _curve(series: Series, points: Sequence[tuple[float, float]]) -> Markup:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    path = element("polyline", points=places, class_=f"curve {series.css}", stroke_dasharray=series.dash)
    every = max(1, len(points) // 8)
    marked = [point for number, point in enumerate(points) if number % every == 0 or number == len(points) - 1]
    return path + joined(series.marker(x, y, 3.4) for x, y in marked)


def _end_letters(ends: Sequence[tuple[Series, tuple[float, float]]]) -> Markup:
    """A letter where each curve ends; those that would cover one another are moved down."""
    placed: list[tuple[float, float]] = []
    parts = []
    for series, (x, y) in sorted(ends, key=lambda each: each[1][1]):
        near = [other for at, other in placed if abs(at - x) < LETTER_HEIGHT]
        lowest = max(near, default=-math.inf)
        free = max(y, lowest + LETTER_HEIGHT)
        placed.append((x, free))
        parts.append(text(x + 9, free, series.letter, class_=f"end {series.css}", dy="0.35em"))
    return joined(parts)


def _whisker(row: Whisker, scale: Scale, y: float, right: float) -> Markup:
    parts = [text(scale.start - 8, y, row.name, class_="name", text_anchor="end", dy="0.35em")]
    if math.isfinite(row.low):
        low, high = scale(row.low), scale(row.high)
        parts += [line(low, y, high, y, class_="whisker")]
        parts += [line(end, y - 6, end, y + 6, class_="whisker") for end in (low, high)]
    middle = scale(row.value)
    parts.append(
        row.series.marker(middle, y, 5) if row.series else element("circle", cx=middle, cy=y, r=4.5, class_="dot")
    )
    parts.append(text(right + 12, y, row.note, class_="value", dy="0.35em"))
    return joined(parts)


def _spot(spot: Spot, frame: Frame) -> Markup:
    x, y = frame.x(spot.x), frame.y(spot.y)
    parts = [element("circle", cx=x, cy=y, r=spot.radius, class_=f"bubble {spot.series.css}")]
    if math.isfinite(spot.low):
        parts.append(line(x, frame.y(spot.low), x, frame.y(spot.high), class_="whisker"))
    parts.append(spot.series.marker(x, y, 5))
    leftward = x > frame.left + 0.6 * (frame.right - frame.left)
    away = max(spot.radius, 8) + 5
    anchor = "end" if leftward else "start"
    parts.append(text(x - away if leftward else x + away, y, spot.note, class_="note", text_anchor=anchor, dy="0.35em"))
    return joined(parts)
