"""Memory that was freed goes back to the system, where the C library keeps it for itself otherwise."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Takes some milliseconds. Does nothing where the C library is not glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
