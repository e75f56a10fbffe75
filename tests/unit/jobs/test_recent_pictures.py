"""Pictures that are kept for a moment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from tempfile import TemporaryFile
from typing import ClassVar
from weakref import ref

import pytest

from jobs.errors import StorageUnavailable
from jobs.inputs.recent import KEEP_S, MOST, RecentPictures
from segmentation.picture_files.file_data import FileBytes


class Timer:
    """Goes off when the test says so."""

    begun: ClassVar[list[Timer]] = []

    def __init__(self, after_s: float, call: Callable[..., None], args: tuple[object, ...]) -> None:
        assert after_s == KEEP_S
        self.go_off = partial(call, *args)

    def start(self) -> None:
        self.begun.append(self)


@pytest.fixture(autouse=True)
def timers(monkeypatch: pytest.MonkeyPatch) -> list[Timer]:
    monkeypatch.setattr(Timer, "begun", [])
    monkeypatch.setattr("jobs.inputs.recent.Timer", Timer)
    return Timer.begun


def test_a_picture_is_read_once_for_a_while_and_few_are_kept(timers: list[Timer]) -> None:
    reads, recent = list[int](), RecentPictures()

    def get(key: int) -> bytes:
        def read() -> bytes:
            assert len(timers) == len(reads)  # a long way does not count: it is kept from its end on
            reads.append(key)
            return bytes([key])

        found = recent.get(key, read)
        assert isinstance(found, bytes)
        return found

    assert [get(1), get(1)] == [b"\1", b"\1"]
    assert reads == [1]
    timers[0].go_off()
    get(1)
    assert reads == [1, 1]
    for key in range(2, 2 + MOST):
        get(key)
    get(1)
    assert reads[2:] == [*range(2, 2 + MOST), 1]
    timers[1].go_off()  # of one that had gone already
    get(1)
    assert reads[-2:] == [1 + MOST, 1]


def test_nothing_stays_when_nobody_asks_any_more(timers: list[Timer]) -> None:
    with TemporaryFile() as file:
        data = FileBytes(file)
    there, recent = ref(data), RecentPictures()
    recent.get("a", [data].pop)
    del data
    assert there() is not None
    timers.pop().go_off()
    assert there() is None


def test_what_could_not_be_read_is_read_by_the_next() -> None:
    recent = RecentPictures()

    def away() -> bytes:
        raise StorageUnavailable("away")

    with pytest.raises(StorageUnavailable):
        recent.get("a", away)
    assert recent.get("a", lambda: b"a") == b"a"
