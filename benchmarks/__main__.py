"""`python -m benchmarks [NAME…]`: run the named benchmarks, or all of them, one after another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# `python -m benchmarks.architectures` takes an hour and has its own options.
BENCHMARKS = (
    "pipeline",
    "latency",
    "startup",
    "simulate",
    "waiting",
    "large_job",
    "large",
    "receiving.upload_memory",
    "receiving.intake",
    "engines.precision",
    "comparison",
    "comparing.resubmission",
    "silent_receiver",
    "queue",
    "archive",
    "scale",
    "peers",
)


def main() -> None:
    names = sys.argv[1:] or BENCHMARKS
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        sys.exit(f"unknown benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for name in names:
        print(f"== {name}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True, cwd=Path(__file__).parents[1])


if __name__ == "__main__":
    main()
