"""The memory of a real server process while many images arrive in one request."""

from __future__ import annotations

import sys

import pytest

from benchmarks.receiving.upload_memory import measure


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's own figures")
def test_four_hundred_images_in_one_request_need_no_memory_of_their_own() -> None:
    assert measure(400, 200_000).growth_mib < 64
