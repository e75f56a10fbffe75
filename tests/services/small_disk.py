"""A disk of its own that can be filled and made read-only, for the tests of what a store does then."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.processes import wait_for

_FILLING = "filling"


@dataclass(frozen=True, slots=True)
class SmallDisk:
    root: Path

    def fill(self) -> None:
        with suppress_full(), (self.root / _FILLING).open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def make_room(self) -> None:
        (self.root / _FILLING).unlink()

    def set_writable(self, *, writable: bool) -> None:
        """As soon as nobody is in the middle of writing a file: until then the system refuses."""
        wait_for(lambda: _remount(self.root, "rw" if writable else "ro"), what="a moment without a write")


@contextmanager
def suppress_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        assert error.strerror == "No space left on device"  # noqa: PT017


@contextmanager
def small_disk(root: Path, *, size: str = "1m") -> Iterator[SmallDisk]:
    """Skips the test where nothing can be mounted: on other systems, and for who is not root."""
    root.mkdir(parents=True, exist_ok=True)
    try:
        _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(root))
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing can be mounted here: a full and a read-only disk were not tested")
    try:
        yield SmallDisk(root)
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


def _remount(root: Path, how: str) -> bool:
    try:
        _mount("-o", f"remount,{how}", str(root))
    except subprocess.CalledProcessError as error:
        assert b"busy" in error.stderr  # noqa: PT017
        return False
    return True


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
