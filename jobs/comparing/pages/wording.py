"""Numbers as a reader should see them. Shares are told in per cent, differences of shares in points."""

import math
from collections.abc import Sequence

from segmentation.measures.bootstrap import Interval

NONE = "–"
MINUS = "\u2212"


def percent(share: float) -> str:
    """0.6324 → 63.2 %."""
    return f"{bare(share)} %" if math.isfinite(share) else NONE


def bare(share: float) -> str:
    """0.6324 → 63.2, for tables whose heading says per cent."""
    return f"{share * 100:.1f}" if math.isfinite(share) else NONE


def tick(share: float) -> str:
    """0.2 → 20, for axes."""
    return f"{share * 100:.6g}".replace("-", MINUS)


def points(difference: float) -> str:
    """The size of a difference: -0.0312 → 3.1 points. What rounds to nothing is no more than told: 0.0002 → less than
    0.1 points."""
    said = f"{abs(difference) * 100:.1f}"
    return "less than 0.1 points" if difference and float(said) == 0 else f"{said} points"


def signed(difference: float) -> str:
    """-0.0312 → −3.1; what rounds to nothing has no sign."""
    if not math.isfinite(difference):
        return NONE
    said = f"{abs(difference) * 100:.1f}"
    sign = "" if float(said) == 0 else "+" if difference > 0 else MINUS
    return sign + said


def between(interval: Interval) -> str:
    """The ends of an interval of differences: −0.4 to +1.2."""
    return f"{signed(interval.low)} to {signed(interval.high)}"


def within(interval: Interval) -> str:
    """The ends of an interval of shares: 60.1 to 66.0."""
    return f"{bare(interval.low)} to {bare(interval.high)}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    *most, end = names
    return f"{', '.join(most)} {last} {end}" if most else end


def counted(number: int, thing: str, things: str = "") -> str:
    """1 picture, 2 pictures."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def milliseconds(value: float) -> str:
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"


def parameters(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 100_000 else f"{count:,}"


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def times(ratio: float) -> str:
    """2.04 → 2.0 times."""
    return f"{ratio:.1f} times"


def number(value: float) -> str:
    """Of an axis, short."""
    return f"{value:.4g}".replace("-", MINUS)
