"""`make fuzz CASES=10000 FILES=5000`: requests made from the OpenAPI document, and hostile files and requests.

Ends with 1 when one of them finds a fault.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.aftermath import aftermath
from tests.fuzz.hostile import attack
from tests.fuzz.run import fuzz, fuzzed_stack
from tests.stack import Stack

EXAMPLES = 100  # in one round
ROUND_S = 1800.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the first round")
    parser.add_argument("--files", type=int, default=5_000, help="hostile files and requests")
    given = parser.parse_args(arguments)
    cases, seed = 0, given.seed
    with tempfile.TemporaryDirectory(prefix="maskmill-fuzz-") as folder, fuzzed_stack(Path(folder)) as (stack, key):
        while cases < given.cases:
            report = fuzz(stack, key, examples=EXAMPLES, seed=seed, limit_s=ROUND_S)
            cases += report.cases
            _say(f"seed {seed}: {report.cases} requests, {cases} so far")
            if report.failures:
                _say(report.failures)
                return 1
            seed += 1
        _say(f"{cases} requests, 0 failures")
        return _attack(stack, key, given.seed, given.files)


def _attack(stack: Stack, key: str, seed: int, cases: int) -> int:
    with stack.http() as http:
        http.headers["Authorization"] = f"Bearer {key}"
        found = attack(http, seed, cases)
        found.breaches += aftermath(stack, http)
    _say(f"{found.cases} hostile cases from {seed}, {len(found.breaches)} breaches; by status {found.statuses}")
    _say(f"longest answer {found.slowest_s:.1f} s ({found.slowest})")
    for breach in found.breaches:
        _say(f"  {breach}")
    return int(bool(found.breaches))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
