"""`make fuzz CASES=10000 FILES=5000`: requests made from the OpenAPI document, and hostile files and requests.

Ends with 1 when one of them finds a fault.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.record import stamp, write_document
from tests.fuzz.aftermath import aftermath
from tests.fuzz.hostile import Findings, attack
from tests.fuzz.run import fuzz, fuzzed_stack
from tests.stack import Stack

EXAMPLES = 100  # in one round
ROUND_S = 1800.0
PROGRESS = 500  # hostile cases between two lines


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    said: dict[str, Any] = {**stamp(), "cases": 0, "failures": "", "own_errors": 0, "seed": given.seed}
    with tempfile.TemporaryDirectory(prefix="maskmill-fuzz-") as folder, fuzzed_stack(Path(folder)) as (stack, key):
        for seed in itertools.count(given.seed):
            if said["cases"] >= given.cases or said["failures"]:
                break
            report = fuzz(stack, key, examples=EXAMPLES, seed=seed, limit_s=ROUND_S)
            said |= {"cases": said["cases"] + report.cases, "failures": report.failures}
            said["own_errors"] += bool(report.own_error)
            write_document(given.results, said)
            ended = ": FAILED" if report.failures else f"; Schemathesis: {report.own_error}" if report.own_error else ""
            _say(f"seed {seed}: {report.cases} requests, {said['cases']} so far{ended}")
        said["hostile"] = _attack(stack, key, given.seed, given.files)
    write_document(given.results, said)
    _say(said["failures"] or f"{said['cases']} requests, 0 failures")
    _say(f"{given.results}")
    return int(bool(said["failures"] or said["hostile"]["breaches"]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the first round")
    parser.add_argument("--files", type=int, default=5_000, help="hostile files and requests")
    parser.add_argument("--results", type=Path, default=Path("build/fuzz.json"))
    return parser


def _attack(stack: Stack, key: str, seed: int, cases: int) -> dict[str, Any]:
    found = Findings()
    with stack.http() as http:
        http.headers["Authorization"] = f"Bearer {key}"
        while found.cases < cases:
            attack(http, seed + found.cases, min(PROGRESS, cases - found.cases), found)
            _say(f"{found.cases} of {cases} hostile cases, {len(found.breaches)} breaches")
        found.breaches += aftermath(stack, http)
    _say(f"{found.cases} hostile cases from {seed}, {len(found.breaches)} breaches; by status {found.statuses}")
    _say(f"longest answer {found.slowest_s:.1f} s ({found.slowest})")
    for breach in found.breaches:
        _say(f"  {breach}")
    return asdict(found)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
