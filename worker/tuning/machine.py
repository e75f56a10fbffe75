"""What is measured on: the processor, how much of it this process may use, the software that runs models."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from segmentation.engines import ENGINES
from telemetry.version import DISTRIBUTIONS

CPUINFO = Path("/proc/cpuinfo")
CGROUPS = Path("/sys/fs/cgroup")
GRAPHICS = Path("/proc/driver/nvidia/gpus")


def cpu_count(cgroups: Path = CGROUPS) -> int:
    """Processors that this process may keep busy: those it may run on, and no more than its container's share."""
    may = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroups)
    return may if quota is None else max(1, min(may, math.ceil(quota)))


def describe(device: str, *, cpus: int) -> dict[str, str]:
    """For people, and to know again."""
    found = {"device": device, "processor": processor_name(), "cpus": str(cpus), "system": _system()}
    if device != "cpu":
        found["graphics"] = ", ".join(sorted(_graphics())) or "unknown"
    return found


def software() -> dict[str, str]:
    """Versions of ourselves and of every engine that is installed."""
    names = (name for kind in ENGINES.values() for name in kind.distributions)
    found = {name: version for name in names if (version := _version(name)) is not None}
    return {"maskmill": next(filter(None, map(_version, DISTRIBUTIONS)), "from source"), **found}


def processor_name(path: Path = CPUINFO) -> str:
    """The name alone tells clouds' processors apart badly: family, model and stepping go with it."""
    wanted = {"model name": "", "cpu family": "", "model": "", "stepping": ""}
    with suppress(OSError):
        for line in path.read_text().split("\n\n")[0].splitlines():
            name, _, value = line.partition(":")
            if name.strip() in wanted:
                wanted[name.strip()] = value.strip()
    name, *numbers = wanted.values()
    if not name:
        return platform.processor() or platform.machine() or "unknown"
    return f"{name} ({'/'.join(numbers)})" if all(numbers) else name


def _quota(cgroups: Path) -> float | None:
    """Processors' worth of time that the group of this process gets; None without a limit. Versions 2 and 1."""
    with suppress(OSError, ValueError):
        share, _, period = (cgroups / "cpu.max").read_text().strip().partition(" ")
        return None if share == "max" else int(share) / int(period)
    with suppress(OSError, ValueError):
        share, period = ((cgroups / "cpu" / f"cpu.cfs_{each}_us").read_text() for each in ("quota", "period"))
        return int(share) / int(period) if int(share) > 0 else None
    return None


def _graphics() -> Iterator[str]:
    for path in GRAPHICS.glob("*/information"):
        with suppress(OSError):
            lines = path.read_text().splitlines()
            yield from (line.partition(":")[2].strip() for line in lines if line.startswith("Model"))


def _system() -> str:
    return f"{platform.system()} {platform.machine()}"


def _version(distribution: str) -> str | None:
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution)
    return None
