"""What was played is kept in a file, a round at a time, so that a long run can go on where it ended; and its tables."""

from __future__ import annotations

import json
import os
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.record import stamp, write_document
from tests.faults.rounds import Outcome

Round = Mapping[str, Any]


class Results:
    """The file of one kind of target."""

    def __init__(self, path: Path, *, anew: bool = False) -> None:
        self.path = path
        known = path.is_file() and not anew
        self.rounds: list[Round] = json.loads(path.read_text())["rounds"] if known else []

    @property
    def seeds(self) -> set[int]:
        return {each["seed"] for each in self.rounds}

    def add(self, outcome: Outcome) -> None:
        """A seed that was played before is replaced. Load: of the machine, processes that want a core."""
        found = {**asdict(outcome), **stamp(), "load": round(os.getloadavg()[0], 1)}
        self.rounds = sorted([each for each in self.rounds if each["seed"] != outcome.seed] + [found], key=_seed)
        write_document(self.path, {"rounds": self.rounds})


def violations(rounds: Iterable[Round]) -> int:
    return sum(len(each["late"]) + len(each["violations"]) for each in rounds)


def recoveries(rounds: Iterable[Round]) -> dict[str, list[float]]:
    """Seconds to the next image, by the fault that was over last, then of all."""
    found: dict[str, list[float]] = defaultdict(list)
    for each in rounds:
        if each["recovery_s"] is not None:
            found[each["last_fault"]].append(each["recovery_s"])
    every = [seconds for kind in found.values() for seconds in kind]
    return dict(sorted(found.items())) | ({"all": every} if every else {})


def table(rounds: Sequence[Round]) -> str:
    """Markdown."""
    if not rounds:
        return "Not measured yet."
    commits = ", ".join(dict.fromkeys(each["commit"] for each in rounds))
    dates = ", ".join(sorted({each["date"] for each in rounds}))
    loads = [each["load"] for each in rounds]
    told = [
        f"{len(rounds)} rounds, {violations(rounds)} violations",
        f"at most {max(each['tries'] for each in rounds)} tries of an image; {dates}, commit {commits}",
        f"{rounds[-1]['machine']['cores']} cores, load {min(loads):g} to {max(loads):g}.",
    ]
    lines = ["| last fault | rounds | seconds to the next image: median | worst |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {name} | {len(seconds)} | {statistics.median(seconds):.1f} | {max(seconds):.1f} |"
        for name, seconds in recoveries(rounds).items()
    ]
    return "\n".join([", ".join(told), "", *lines])


def _seed(each: Round) -> int:
    return int(each["seed"])
