"""Which release this is."""

from __future__ import annotations

import contextlib
import importlib.metadata

DISTRIBUTIONS = ("maskmill-server", "maskmill")  # the second in environments that were made before 0.2


def version() -> str:
    for distribution in DISTRIBUTIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(distribution)
    return "unknown"
