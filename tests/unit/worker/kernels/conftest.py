"""What was compiled, for the tests of it."""

from __future__ import annotations

import ctypes
import shutil

import pytest

from tests.services.processes import missing
from worker.kernels.library import library


@pytest.fixture(scope="session")
def compiled() -> ctypes.CDLL:
    """The loops that setup compiled."""
    found = library()
    if found is None:
        assert shutil.which("cc") is None, "there is a C compiler, but the loops were not built: run `make setup` again"
        missing("A C compiler", "what worker/kernels compiles")
    return found
