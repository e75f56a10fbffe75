"""From `git clone` to the first mask on this machine: `python -m benchmarks.startup.first_mask [REPOSITORY]`.

Nothing is taken from this environment but git, make and Python: the clone makes its own. `--no-cache` has pip keep and
find nothing, as on a bare machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOOK_S = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", nargs="?", default=str(ROOT))
    parser.add_argument("--no-cache", action="store_true", help="of pip")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(chosen.repository, Path(folder), no_cache=chosen.no_cache), indent=1))


def measure(repository: str, folder: Path, *, no_cache: bool) -> dict[str, object]:
    """Seconds since the first command was typed. Raises CalledProcessError."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("MASKMILL_", "PYTHON", "VIRTUAL"))
    }
    environment = clean | ({"PIP_NO_CACHE_DIR": "1"} if no_cache else {})
    commands = (["git", "clone", "--quiet", repository, "maskmill"], ["make", "demo"])
    begun = time.monotonic()
    subprocess.run(commands[0], cwd=folder, env=environment, check=True)
    cloned = time.monotonic() - begun
    home = folder / "maskmill"
    demo = subprocess.Popen(commands[1], cwd=home, env=environment, stdout=subprocess.DEVNULL)
    first = None
    while demo.poll() is None:
        if first is None and any((home / ".maskmill").rglob("mask/*")):
            first = time.monotonic() - begun
        time.sleep(LOOK_S)
    if demo.returncode:
        raise subprocess.CalledProcessError(demo.returncode, commands[1])
    ended = time.monotonic() - begun
    told = {"cloned_s": cloned, "first_mask_s": first if first is not None else ended, "ended_s": ended}
    return {
        "commands": [" ".join(each) for each in commands],
        **{name: round(value, 1) for name, value in told.items()},
    }


if __name__ == "__main__":
    main()
