"""What the parts of a stack hold at one moment, and how fast that grows."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx
import numpy as np
import psutil

from tests.stack import Stack

MIB = 2**20
WARM_UP = 0.25  # of the time: caches and pools fill
_OLDEST = re.compile(r"^maskmill_queue_oldest_seconds\{[^}]*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """at: seconds since the beginning. values: by quantity, then by part; MiB, seconds or numbers."""

    at: float
    values: Mapping[str, Mapping[str, float]]


def sample(stack: Stack, http: httpx.Client, began: float) -> Sample:
    parts = {name: psutil.Process(process.pid) for name, process in stack.processes.items()}
    return Sample(
        time.monotonic() - began,
        {
            "memory (MiB)": {name: part.memory_info().rss / MIB for name, part in parts.items()},
            "open files": {name: float(part.num_fds()) for name, part in parts.items()},
            "connections": {name: float(len(part.net_connections("tcp"))) for name, part in parts.items()},
            "age of the queue (s)": {"queue": oldest_s(http.get("/metrics").raise_for_status().text)},
        },
    )


def oldest_s(metrics: str) -> float:
    """Of all queues and tenants; 0 when nothing waits."""
    return max((float(value) for value in _OLDEST.findall(metrics)), default=0.0)


def slopes(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Growth per hour of each quantity and part: least squares over what comes after the warm-up.

    NaN where fewer than two samples are left."""
    late = [each for each in samples if each.at >= WARM_UP * samples[-1].at]
    hours = np.array([each.at for each in late]) / 3600
    return {
        quantity: {part: _slope(hours, [each.values[quantity][part] for each in late]) for part in parts}
        for quantity, parts in samples[-1].values.items()
    }


def _slope(hours: np.ndarray, values: Sequence[float]) -> float:
    if len(values) < 2:
        return float("nan")
    return float(np.polyfit(hours, values, 1)[0])
