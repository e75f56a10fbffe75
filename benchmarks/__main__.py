"""`python -m benchmarks`: every benchmark in a short form, together less than 20 minutes on two cores.

With names: these alone, with their usual settings.
A short form tells whether something is off. Its figures go to `build/benchmarks` and leave the kept ones alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.record import ELSEWHERE

ROOT = Path(__file__).parents[1]
SHORT_RESULTS = ROOT / "build" / "benchmarks"
BENCHMARKS = {  # with what makes each short
    "pipeline": "--images 64 --rounds 3",
    "latency": "--calls 30 --behind 3000",
    "startup": "--rounds 2",
    "simulate": "",
    "waiting": "--polls 200 --streams 500",
    "large_job": "--inputs 10000 --rounds 1",
    "large": "--tiles 12 --kinds tiff",
    "receiving.upload_memory": "--images 1000",
    "receiving.intake": "--large-bytes 500000000",
    "engines.precision": "--rounds 10",
    "comparison": "--images 20 --rounds 1",
    "comparing.resubmission": "--old 100",
    "silent_receiver": "--jobs 10 --rounds 1",
    "queue": "--rounds 3",
    "archive": "--images 3000 --rounds 3",
    "scale": "--sizes 1000,10000",
    "peers": "--images 200 --rounds 2 --beside fastapi",
}
APART = {  # with why; their own modules say how they are run
    "architectures": "trains for days",
    "engines.gpu": "needs a GPU: make gpu",
    "robustness": "needs CamVid",
    "startup.first_mask": "clones, and installs three environments",
}


def main() -> None:
    names = sys.argv[1:]
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        sys.exit(f"unknown benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for name in names or BENCHMARKS:
        print(f"== {name}", file=sys.stderr)
        options = [] if names else BENCHMARKS[name].split()
        where = {} if names else {ELSEWHERE: str(SHORT_RESULTS)}
        command = [sys.executable, "-m", f"benchmarks.{name}", *options]
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **where})


if __name__ == "__main__":
    main()
