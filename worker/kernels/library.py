"""The compiled loops of `kernels.c`, where they were built: setup does it wherever there is a C compiler."""

from __future__ import annotations

import ctypes
import logging
from ctypes import c_float, c_long, c_uint32, c_void_p
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

logger = logging.getLogger(__name__)

SOURCE = 0xAF06FA43  # of the kernels.c that is called here; a test tells the number of a changed one
_POINTER, _COUNT = c_void_p, c_long
_TAKES = {
    "maskmill_network_input": (_POINTER, _COUNT, _POINTER, _POINTER, _COUNT, _COUNT, _POINTER, _POINTER, _POINTER),
    "maskmill_class_ids": (_POINTER, *(3 * [_COUNT]), *(4 * [_POINTER]), _COUNT, _POINTER, _POINTER),
    "maskmill_blend": (_POINTER, _POINTER, _COUNT, _POINTER, c_float, _POINTER),
    "maskmill_count": (_POINTER, _COUNT, _POINTER),
}


@cache
def library() -> ctypes.CDLL | None:
    """None where they were not built, or from another `kernels.c`: then Python does the same. Calls let other threads
    run meanwhile."""
    for suffix in EXTENSION_SUFFIXES:
        file = Path(__file__).with_name(f"_kernels{suffix}")
        if file.is_file():
            return _opened(file)
    return None


def _opened(file: Path) -> ctypes.CDLL | None:
    try:
        found = ctypes.CDLL(str(file))
        found.maskmill_kernels.restype = c_uint32
        if found.maskmill_kernels() != SOURCE:
            raise OSError("they were built from another kernels.c; install again")
    except (OSError, AttributeError) as error:
        logger.warning("the compiled loops are of no use here, Python does their work: %s", error)
        return None
    for name, takes in _TAKES.items():
        call = getattr(found, name)
        call.argtypes, call.restype = takes, None
    return found


def address(array: NDArray[Any], kind: DTypeLike) -> int:
    """Of the first value; the caller keeps the array. Raises TypeError for one of another kind, or in several pieces of
    memory: C would take whatever lies there for values."""
    if array.dtype != kind or not array.flags.c_contiguous:
        raise TypeError(f"expected {np.dtype(kind)} in one piece, got {array.dtype} with strides {array.strides}")
    return array.ctypes.data
