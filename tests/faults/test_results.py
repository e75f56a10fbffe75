"""What a long run keeps: it goes on where it ended, and its table says what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.faults.results import Results, recoveries, table, violations
from tests.faults.rounds import Outcome


def played(seed: int, recovery_s: float | None, **said: Any) -> Outcome:
    return Outcome(seed=seed, strikes=(), recovery_s=recovery_s, last_fault="kill api", tries=2, **said)


def test_rounds_of_an_earlier_run_are_known_and_a_seed_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "build" / "faults.json"
    for seed in (2, 1, 2):
        Results(path).add(played(seed, 1.0))
    assert [each["seed"] for each in Results(path).rounds] == [1, 2]
    assert Results(path).seeds == {1, 2}
    assert Results(path, anew=True).seeds == set()


def test_the_table_tells_rounds_violations_and_recoveries(tmp_path: Path) -> None:
    results = Results(tmp_path / "faults.json")
    for outcome in (played(1, 1.0), played(2, 4.0, late=["x"]), played(3, None, violations=["y", "z"])):
        results.add(outcome)
    assert recoveries(results.rounds) == {"kill api": [1.0, 4.0], "all": [1.0, 4.0]}
    assert violations(results.rounds) == 3
    assert table(results.rounds).startswith("3 rounds, 3 violations, at most 2 tries of an image")
    assert "| kill api | 2 | 2.5 | 4.0 |" in table(results.rounds)


def test_without_rounds_nothing_is_measured(tmp_path: Path) -> None:
    assert table(Results(tmp_path / "none.json").rounds) == "Not measured yet."
