"""One thing that was looked at, and how a list of them is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Literal

from rich.console import Console
from rich.text import Text

State = Literal["good", "absent", "bad"]
MARKS: dict[State, tuple[str, str]] = {"good": ("✓", "green"), "absent": ("–", "yellow"), "bad": ("✗", "bold red")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """state: good; absent, but only wanted by some; bad: without it nothing works here. mend: what to do about it."""

    group: str
    name: str
    state: State = "good"
    said: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """of: what needs all of it."""

    found: Sequence[Finding]
    of: str

    @property
    def well(self) -> bool:
        return all(finding.state != "bad" for finding in self.found)

    def as_dict(self) -> dict[str, Any]:
        return {"well": self.well, "findings": [asdict(finding) for finding in self.found]}

    def show(self, console: Console) -> None:
        width = max(len(finding.name) for finding in self.found) + 2
        for group, found in groupby(self.found, key=lambda finding: finding.group):
            console.print(Text(f"\n{group}", style="bold"))
            for finding in found:
                mark, style = MARKS[finding.state]
                line = Text.assemble(f"  {finding.name:<{width}}", (f"{mark} ", style), finding.said)
                console.print(line, soft_wrap=True)
                if finding.mend:
                    console.print(Text(f"  {'':<{width}}  → {finding.mend}", style="cyan"), soft_wrap=True)
        bad = sum(finding.state == "bad" for finding in self.found)
        console.print()
        if bad:
            console.print(Text(f"{bad} of these must be mended before {self.of} can work", style="bold red"))
        else:
            console.print(Text(f"Everything that {self.of} needs is here", style="bold green"))
