"""Where and when something was measured: date, commit, processor, versions."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import torch

from training.compare.findings import Facts
from training.datasets.pairs import PairDataset
from training.runs import RunFacts

CPU_FACTS = Path("/proc/cpuinfo")


def facts_of_here(pictures: PairDataset, *, split: str, seed: int) -> Facts:
    return Facts(
        dataset=pictures.about.title,
        split=split,
        picture_count=len(pictures),
        licence=pictures.about.licence,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=RunFacts.current().commit,
        machine=machine(),
        software=f"Python {platform.python_version()}, PyTorch {torch.__version__}, {platform.system()}",
        seed=seed,
    )


def machine() -> str:
    """Processor, how many of them this process may use, and the graphics card if there is one."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = f"{_processor()}, {usable} CPU{'s' if usable > 1 else ''}"
    return f"{told}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else told


def _processor() -> str:
    lines = CPU_FACTS.read_text(errors="replace").splitlines() if CPU_FACTS.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
