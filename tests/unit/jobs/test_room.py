"""The pixels of one process: small pictures pass, large ones wait for one another."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from jobs.processing.room import PixelRoom
from tests.services.processes import wait_for


class Visitor:
    """A thread that takes room and keeps it until it is let go."""

    def __init__(
        self, room: PixelRoom, pixels: int, check: Callable[[], None] = lambda: None, *, is_long: bool = False
    ) -> None:
        self.inside, self.leave = threading.Event(), threading.Event()
        self.error: Exception | None = None

        def visit() -> None:
            try:
                with room.take(pixels, check=check, is_long=is_long):
                    self.inside.set()
                    self.leave.wait(60)
            except RuntimeError as error:
                self.error = error

        self.thread = threading.Thread(target=visit)
        self.thread.start()

    def go(self) -> None:
        self.leave.set()
        self.thread.join(60)


def test_a_small_picture_never_waits():
    room = PixelRoom(100, threads=4)
    giant = Visitor(room, 1000)
    assert giant.inside.wait(60)
    with room.take(25, check=lambda: None):
        pass
    giant.go()


def test_large_pictures_share_the_room_as_far_as_it_reaches():
    room = PixelRoom(100, threads=4)
    visitors = [Visitor(room, 50), Visitor(room, 50), Visitor(room, 50)]
    wait_for(lambda: sum(each.inside.is_set() for each in visitors) == 2, what="two pictures in the room")
    late = next(each for each in visitors if not each.inside.is_set())
    assert not late.inside.wait(0.2)
    next(each for each in visitors if each.inside.is_set()).go()
    assert late.inside.wait(60)
    for each in visitors:
        each.go()


def test_a_giant_is_not_overtaken_by_those_who_came_later():
    room = PixelRoom(100, threads=4)
    first = Visitor(room, 60)
    assert first.inside.wait(60)
    giant = Visitor(room, 1000)
    wait_for(lambda: len(room._queue) == 1, what="the giant in the queue")
    later = Visitor(room, 30)
    assert not later.inside.wait(0.2)  # there would be room
    first.go()
    assert giant.inside.wait(60)
    assert not later.inside.is_set()
    giant.go()
    assert later.inside.wait(60)
    later.go()


def test_who_is_wanted_no_more_leaves_the_queue():
    room = PixelRoom(100, threads=4)
    giant = Visitor(room, 100)
    assert giant.inside.wait(60)

    def refuse() -> None:
        raise RuntimeError("canceled")

    refused, patient = Visitor(room, 100, refuse), Visitor(room, 100)
    refused.thread.join(60)
    assert isinstance(refused.error, RuntimeError)
    giant.go()
    assert patient.inside.wait(60)
    patient.go()


@pytest.mark.parametrize(("pixels", "times"), [(25, 0), (26, 1)])
def test_memory_is_given_back_after_large_pictures(pixels: int, times: int):
    given: list[int] = []
    room = PixelRoom(100, threads=4, give_back=lambda: given.append(1))
    with room.take(pixels, check=lambda: None):
        assert given == []
    assert len(given) == times


def test_room_that_is_given_up_is_free_though_the_picture_is_still_there():
    room = PixelRoom(100, threads=4)
    with room.take(100, check=lambda: None) as leave:
        leave()
        leave()
        other = Visitor(room, 100)
        assert other.inside.wait(60)
        other.go()
    assert room._taken == 0


def test_a_small_picture_has_nothing_to_give_up():
    with PixelRoom(100, threads=4).take(10, check=lambda: None) as leave:
        leave()


def test_who_has_to_wait_steps_out_first_and_small_ones_do_not():
    stepped: list[int] = []
    room = PixelRoom(100, threads=4, step_out=lambda: stepped.append(1))
    with room.take(25, check=lambda: None):
        assert stepped == []
    with room.take(26, check=lambda: None):
        assert stepped == [1]


def test_what_is_long_goes_with_the_large_ones_as_many_as_there_are_threads():
    room = PixelRoom(100, threads=4)
    visitors = [Visitor(room, 1, is_long=True) for _ in range(5)]
    wait_for(lambda: sum(each.inside.is_set() for each in visitors) == 4, what="four long ones at work")
    late = next(each for each in visitors if not each.inside.is_set())
    assert not late.inside.wait(0.2)
    for each in visitors:
        each.leave.set()
    assert late.inside.wait(5)
    for each in visitors:
        each.go()
