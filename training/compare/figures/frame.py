"""The frame of a drawing with two axes: grid, ticks, labels, and where a value lies."""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from training.compare.figures.scales import Scale
from training.compare.figures.svg import joined, line, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """label: with its unit. say: a tick as a reader should see it."""

    label: str
    low: float
    high: float
    say: Callable[[float], str]
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """width, height: of the whole drawing, in its units."""

    across: Axis
    upward: Axis
    width: float = 430
    height: float = 280

    top = 12

    @property
    def size(self) -> tuple[float, float]:
        return self.width, self.height

    @property
    def left(self) -> float:
        """Room for the longest tick, and for the label beside it."""
        return 30 + 6.8 * max(len(self.upward.say(tick)) for tick in self._upward.ticks())

    @property
    def right(self) -> float:
        return self.width - 24

    @property
    def bottom(self) -> float:
        return self.height - 46

    def x(self, value: float) -> float:
        return self._across(value)

    def y(self, value: float) -> float:
        return self._upward(value)

    def drawn(self) -> Markup:
        return joined([self._level_lines(), self._upright_lines(), self._labels()])

    @property
    def _across(self) -> Scale:
        return Scale(self.across.low, self.across.high, self.left, self.right, self.across.logarithmic)

    @property
    def _upward(self) -> Scale:
        return Scale(self.upward.low, self.upward.high, self.bottom, self.top, self.upward.logarithmic)

    def _level_lines(self) -> Markup:
        return joined(
            line(self.left, self.y(tick), self.right, self.y(tick), class_="grid")
            + text(self.left - 7, self.y(tick), self.upward.say(tick), class_="tick", text_anchor="end", dy="0.35em")
            for tick in self._upward.ticks()
        )

    def _upright_lines(self) -> Markup:
        return joined(
            line(self.x(tick), self.top, self.x(tick), self.bottom, class_="grid")
            + text(self.x(tick), self.bottom + 16, self.across.say(tick), class_="tick", text_anchor="middle")
            for tick in self._across.ticks()
        )

    def _labels(self) -> Markup:
        x, y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        turned = f"translate(13 {y:.1f}) rotate(-90)"
        return (
            line(self.left, self.bottom, self.right, self.bottom, class_="axis")
            + text(x, self.height - 8, self.across.label, class_="label", text_anchor="middle")
            + text(0, 0, self.upward.label, class_="label", text_anchor="middle", transform=turned)
        )
