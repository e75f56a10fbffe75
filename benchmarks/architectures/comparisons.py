"""The two comparisons in docs/models.md: all architectures with a short training, and fewer with a longer one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.architectures.budget import LONG, SHORT, Budget
from benchmarks.architectures.contenders import CONTENDERS, LONGER, Contender
from benchmarks.record import RESULTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """results: the file that its table is made of."""

    budget: Budget
    contenders: tuple[Contender, ...]
    results: Path


COMPARISONS = {
    "short": Comparison(budget=SHORT, contenders=CONTENDERS, results=RESULTS / "architectures.json"),
    "long": Comparison(budget=LONG, contenders=LONGER, results=RESULTS / "training" / "architectures.json"),
}
