"""The machine: Python, processor, memory, disk, graphics card."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from maskmill.doctor.findings import Finding
from maskmill.doctor.surroundings import has_nvidia_card

GROUP = "This machine"
OLDEST_PYTHON = (3, 11)
LEAST_DISK = 1e9
LEAST_MEMORY = 0.75 * 2**30  # API, worker, scheduler and broker, with one small model
USEFUL_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16")


def examine_machine(home: Path) -> Iterator[Finding]:
    version = platform.python_version()
    too_old = sys.version_info[:2] < OLDEST_PYTHON
    mend = "install Python 3.11 or newer, then: make setup PYTHON=python3.11" if too_old else ""
    yield Finding(group=GROUP, name="Python", state="bad" if too_old else "good", said=version, mend=mend)
    flags = processor_flags()
    fast = "; bf16 in hardware" if {"avx512_bf16", "amx_bf16", "bf16"} & set(flags) else "; no bf16 in hardware"
    yield Finding(
        group=GROUP, name="Processor", said=f"{cpu_count()} of {os.cpu_count()} cores, {' '.join(flags)}{fast}"
    )
    yield _memory()
    yield _disk(home)
    yield _graphics_card()


def _memory() -> Finding:
    try:
        import psutil
    except ModuleNotFoundError:  # a client's installation, which needs none
        return Finding(group=GROUP, name="Memory", state="absent", said="not looked at: psutil is not installed")
    memory = psutil.virtual_memory()
    said = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    if memory.available < LEAST_MEMORY:
        mend = "end other programs: a stack with a small model takes three quarters of a GiB"
        return Finding(group=GROUP, name="Memory", state="bad", said=said, mend=mend)
    return Finding(group=GROUP, name="Memory", said=said)


def processor_flags() -> list[str]:
    """Those that make models faster, as Linux names them; empty elsewhere."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                present = set(line.partition(":")[2].split())
                return [flag for flag in USEFUL_FLAGS if flag in present]
    return []


def cpu_count() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _disk(home: Path) -> Finding:
    where = next(folder for folder in (home.absolute(), *home.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(where).free
    if not os.access(where, os.W_OK):
        mend = "choose another folder with --home or MASKMILL_HOME"
        return Finding(group=GROUP, name="Home folder", state="bad", said=f"{where} cannot be written", mend=mend)
    if free < LEAST_DISK:
        said = f"{home.absolute()}, only {free / 1e9:.1f} GB free"
        return Finding(group=GROUP, name="Home folder", state="bad", said=said, mend="free some space on this disk")
    return Finding(group=GROUP, name="Home folder", said=f"{home.absolute()}, {free / 1e9:.0f} GB free")


def _graphics_card() -> Finding:
    program = shutil.which("nvidia-smi")
    if program is None and has_nvidia_card():
        mend = "install NVIDIA's driver for this system; until then models run on the processor"
        return Finding(group=GROUP, name="GPU", state="absent", said="an NVIDIA card without its driver", mend=mend)
    if program is None:
        return Finding(group=GROUP, name="GPU", state="absent", said="none found; models run on the processor")
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(group=GROUP, name="GPU", state="absent", said=f"nvidia-smi does not answer ({error})")
    return Finding(group=GROUP, name="GPU", said="; ".join(told.splitlines()))
