"""`make fuzz CASES=10000`: rounds of generated requests until there were so many. Ends with 1 if one finds a fault."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.run import fuzz, fuzzed_stack

EXAMPLES = 100  # in one round
ROUND_S = 1800.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the first round")
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
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
