"""What makes a figure worth keeping: the commit, the machine and the date beside it."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
ELSEWHERE = "BENCHMARK_RESULTS"  # in the environment: the folder for figures that are not to be kept


def record(name: str, question: str, figures: Mapping[str, Any]) -> Path:
    """Print the figures and write them to `results/<name>.json`, or where the environment says."""
    document = {"question": question, **stamp(), "figures": figures}
    print(json.dumps(document, indent=2))
    return write_document(Path(os.environ.get(ELSEWHERE, RESULTS)) / f"{name}.json", document)


def stamp() -> dict[str, Any]:
    """When, with which code and on which machine something is measured."""
    return {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": _commit(), "machine": _machine()}


def write_document(path: Path, document: Mapping[str, Any]) -> Path:
    """Written beside and moved into place: a kill leaves the old figures or the new ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(document, indent=2) + "\n")
    return part.replace(path)


def median(values: Iterable[float]) -> float:
    """To three significant digits: more would be noise."""
    return float(f"{statistics.median(values):.3g}")


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
