"""Which instructions for narrow numbers the processor has: what makes bf16 or int8 faster than float32 on it."""

from __future__ import annotations

import functools
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

# As Linux names them: x86 first, then Arm.
_INT8 = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def precisions(flags: frozenset[str]) -> tuple[str, ...]:
    """Those with instructions of their own, the fastest first; fp32 always."""
    found = ("bf16",) if flags & _BF16 else ()
    return (*found, *(("int8",) if flags & _INT8 else ()), "fp32")


@functools.cache
def processor_flags(path: Path = CPUINFO) -> frozenset[str]:
    """Of the first processor; empty where the system does not tell."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return frozenset()
    found = (line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features")))
    return frozenset(next(found, "").split())
