"""The figures so far of one comparison: written as each row ends, so that a killed run goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.record import stamp, write_document

QUESTION = "scores of architectures after the same training, and what their inference costs"


class AnotherBudget(Exception):
    """The file holds figures of another budget, which must not stand in one table with these."""


class Ledger:
    """rows: by a contender's name, what was measured of it; bundled: the same of the models that are shipped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._figures: dict[str, Any] = {"budget": {}, "rows": {}, "bundled": {}}
        self._read()

    @property
    def budget(self) -> Mapping[str, Any]:
        """Empty while nothing was trained."""
        return self._figures["budget"]  # type: ignore[no-any-return]

    @property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        return self._figures["rows"]  # type: ignore[no-any-return]

    @property
    def bundled(self) -> Mapping[str, Mapping[str, Any]]:
        return self._figures["bundled"]  # type: ignore[no-any-return]

    def begin(self, budget: Mapping[str, Any], *, afresh: bool) -> None:
        """Raises AnotherBudget, unless the rows so far shall be forgotten."""
        if afresh:
            self._figures |= {"rows": {}, "budget": {}}
        if self.rows and self.budget != budget:
            raise AnotherBudget(f"{self.path} was measured with {self.budget}, not {budget}; --afresh forgets it")
        if self.budget != budget:
            self._figures["budget"] = dict(budget)
            self._write()

    def keep(self, kind: str, name: str, figures: Mapping[str, Any]) -> None:
        """Add to what is known of a row and write the file. kind: rows or bundled.

        What another process has written meanwhile stays: two may train different rows.
        """
        self._read()
        self._figures[kind][name] = {**self._figures[kind].get(name, {}), **figures}
        self._write()

    def forget_bundled(self, but: set[str]) -> None:
        """Models that are no longer shipped have no row."""
        self._figures["bundled"] = {name: row for name, row in self.bundled.items() if name in but}
        self._write()

    def _read(self) -> None:
        if self.path.is_file():
            self._figures = json.loads(self.path.read_text())["figures"]

    def _write(self) -> None:
        write_document(self.path, {"question": QUESTION, **stamp(), "figures": self._figures})
