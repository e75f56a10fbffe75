"""Which of several ways is taken, from what they took in the same rounds. Nothing here measures."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from storage.registry.tunings import Way

LEAST_GAIN = 0.05  # a later way must be so much faster than an earlier one: less is noise
MOSTLY = 0.75  # and be so in this share of the rounds that both were in

Took = Mapping[Way, Sequence[float]]


def fastest(order: Sequence[Way], took: Took) -> Way:
    """order: the preferred way first, not empty. took: milliseconds a picture, round by round; who gave up earlier has
    fewer. Ways that were not measured are never taken, unless none was.
    """
    measured = [way for way in order if took.get(way)]
    if not measured:
        return order[0]
    best = measured[0]
    for way in measured[1:]:
        if is_faster(took[way], took[best]):
            best = way
    return best


def is_faster(one: Sequence[float], other: Sequence[float]) -> bool:
    """Clearly: in the median of the pairs, and in most of them. A burst of other work hits both of a pair."""
    pairs = list(zip(one, other, strict=False))
    gains = [1 - mine / theirs for mine, theirs in pairs]
    wins = sum(gain > 0 for gain in gains)
    return statistics.median(gains) >= LEAST_GAIN and wins >= MOSTLY * len(pairs)


def median_ms(took: Sequence[float]) -> float:
    """To three significant digits: more would be noise. NaN for a way that failed."""
    return float(f"{statistics.median(took):.3g}") if took else float("nan")


def stream_choices(default: int, *, cpus: int) -> list[int]:
    """How many calls side by side are worth a try; the default first."""
    found = (default, 1, 2, cpus // 4, cpus // 2, cpus)
    return list(dict.fromkeys(each for each in found if 1 <= each <= max(cpus, default)))
