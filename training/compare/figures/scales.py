"""From values to places on a drawing, and where the ticks of an axis stand."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

WIDE = 4.0  # values that differ more than so many times are shown on a logarithmic axis


@dataclass(frozen=True, slots=True)
class Scale:
    """low, high: values at the ends of the axis, low < high (above 0 when logarithmic); start, end: places there."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (math.log(each) if self.logarithmic else each for each in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values within the axis, about `count` of them."""
        if self.logarithmic:
            return _log_ticks(self.low, self.high)
        step = nice_step(self.high - self.low, count)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)]


def nice_step(span: float, count: int) -> float:
    """1, 2 or 5 times a power of ten, such that about `count` steps fill the span."""
    rough = span / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def around(values: Iterable[float], *, count: int = 5) -> tuple[float, float]:
    """Round ends of an axis that holds all values, and more than one value; (0, 1) without any."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    if high == low:
        low, high = low - (abs(low) or 1) * 0.1, high + (abs(high) or 1) * 0.1
    step = nice_step(high - low, count)
    return math.floor(low / step) * step, math.ceil(high / step) * step


def around_log(values: Iterable[float]) -> tuple[float, float]:
    """Ends of a logarithmic axis with some room on both sides. values: above 0, at least one."""
    known = list(values)
    return min(known) / 1.35, max(known) * 1.35


def spread_widely(values: Iterable[float]) -> bool:
    known = [value for value in values if math.isfinite(value)]
    return bool(known) and min(known) > 0 and max(known) / min(known) > WIDE


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
