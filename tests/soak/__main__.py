"""`make soak MINUTES=30`: ordinary work for so long; a picture of what the parts hold, and how fast it grows.

Ends with 1 when a request failed, or a part holds more than it may (`tests/fuzz/aftermath.py`).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.record import stamp, write_document
from tests.fuzz.aftermath import aftermath
from tests.services.valkey import valkey
from tests.soak.figure import figure
from tests.soak.samples import slopes
from tests.soak.work import Soaked, soak
from tests.stack import running_stack


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=5.0, metavar="S", help="seconds between two samples (5)")
    parser.add_argument("--images", type=int, default=20, help="of each job (20)")
    parser.add_argument("--figure", type=Path, default=Path("build/soak.svg"))
    given = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="maskmill-soak-") as folder,
        valkey(Path(folder) / "broker") as broker,
        running_stack(Path(folder), {"MASKMILL_BROKER_URL": broker.url}) as stack,
        stack.http() as http,
    ):
        soaked = soak(stack, http, lasts_s=given.minutes * 60, every_s=given.every, images=given.images)
        soaked.failures += aftermath(stack, http)
    given.figure.parent.mkdir(parents=True, exist_ok=True)
    given.figure.write_text(figure(soaked.samples))
    said = {**stamp(), "slopes_per_hour": slopes(soaked.samples), **asdict(soaked)}
    write_document(given.figure.with_suffix(".json"), said)
    _say(soaked, given.figure)
    return int(bool(soaked.failures))


def _say(soaked: Soaked, drawn: Path) -> None:
    minutes = soaked.samples[-1].at / 60
    lines = [f"{minutes:.1f} min, {soaked.jobs} jobs, {soaked.predictions} single pictures; {drawn}"]
    for quantity, parts in slopes(soaked.samples).items():
        for part, slope in parts.items():
            values = [each.values[quantity][part] for each in soaked.samples]
            held = f"{values[0]:8.1f} at first, at most {max(values):8.1f}, {values[-1]:8.1f} at last"
            lines.append(f"{quantity:<22}{part:<12}{held}, {slope:+9.1f} per hour")
    sys.stdout.write("\n".join([*lines, *soaked.failures]) + "\n")


if __name__ == "__main__":
    sys.exit(main())
