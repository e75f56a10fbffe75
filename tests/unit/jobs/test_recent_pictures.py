"""Pictures that are kept for a moment."""

from __future__ import annotations

import pytest

from jobs.errors import StorageUnavailable
from jobs.inputs.recent import KEEP_S, MOST, RecentPictures


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_picture_is_read_once_for_a_while_and_few_are_kept() -> None:
    clock, reads = Clock(), list[int]()
    recent = RecentPictures(clock)

    def get(key: int) -> bytes:
        def read() -> bytes:
            reads.append(key)
            return bytes([key])

        found = recent.get(key, read)
        assert isinstance(found, bytes)
        return found

    assert [get(1), get(1)] == [b"\1", b"\1"]
    assert reads == [1]
    clock.now = KEEP_S
    get(1)
    assert reads == [1, 1]
    for key in range(2, 2 + MOST):
        get(key)
    get(1)
    assert reads[2:] == [*range(2, 2 + MOST), 1]


def test_what_could_not_be_read_is_read_by_the_next() -> None:
    recent = RecentPictures()

    def away() -> bytes:
        raise StorageUnavailable("away")

    with pytest.raises(StorageUnavailable):
        recent.get("a", away)
    assert recent.get("a", lambda: b"a") == b"a"
