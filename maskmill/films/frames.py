"""Which images of a job make which film, and when each is shown: of films that came in by the times in the names of
their frames, of other pictures by a rate that somebody gives. Neither fetches nor writes anything."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median_low
from typing import NamedTuple

from maskmill.errors import InvalidInput
from maskmill.inputs import is_film_name

RATES = (0.01, 240.0)  # frames per second that may be asked for
MS = Fraction(1, 1000)
ALONE_MS = 1000  # how long the only frame of a film is shown where nothing else is known
NAMED = 5
# How the service names frames, by their hours, minutes, seconds and milliseconds; of two equal names one has a number.
_SHOWN = re.compile(r"(?:(?P<film>.*)/)?(\d{2,})-(\d\d)-(\d\d)\.(\d{3})(?:_[0-9_]+)?\.jpg")
_DIGITS = re.compile(r"(\d+)")


class Frame(NamedTuple):
    """image: its index in the job. has_result: what the film is to show is there. has_picture: the plain picture is
    at least named."""

    image: int
    name: str
    has_result: bool
    has_picture: bool


@dataclass(frozen=True, slots=True)
class Film:
    """name: `front/drive` of front/drive.mp4; of other pictures their folder, empty of those in none. times: when each
    frame is shown, from 0, in units of time_base (seconds), and then when the last one ends."""

    name: str
    frames: Sequence[Frame]
    times: Sequence[int]
    time_base: Fraction

    @property
    def seconds(self) -> float:
        return float(self.times[-1] * self.time_base)

    @property
    def rate(self) -> Fraction:
        """Frames per second, on the average."""
        return Fraction(len(self.frames)) / (self.times[-1] * self.time_base)


def read_rate(fps: float) -> Fraction:
    """Raises InvalidInput."""
    if not (math.isfinite(fps) and RATES[0] <= fps <= RATES[1]):
        raise InvalidInput(f"a film has {RATES[0]:g} to {RATES[1]:g} frames per second, not {fps:g}")
    return Fraction(str(fps)).limit_denominator(1001)  # 29.97 as it is, and 30000/1001 where all its digits are given


def films_of(frames: Iterable[Frame], *, every_s: float | None, rate: Fraction | None) -> list[Film]:
    """frames: in the order of the job. every_s: how often the job took frames of its films; None where it took none.
    rate: of all films; None: frames are shown when they were in the film that came in, and other pictures in no film.

    Raises InvalidInput where two frames of a film are shown at the same time.
    """
    groups = [each for each in _groups(frames, is_in_order=every_s is not None) if each.is_timed or rate is not None]
    groups.sort(key=lambda group: not group.is_timed)  # a film has its name before a folder that is called alike
    called = zip(numbered([group.folder for group in groups]), groups, strict=True)
    if rate is not None:
        return [Film(name, group.frames, range(len(group.frames) + 1), 1 / rate) for name, group in called]
    alone_ms = ALONE_MS if every_s is None else max(1, round(every_s * 1000))
    return [_timed(name, group.frames, alone_ms) for name, group in called]


def chosen(films: Sequence[Film], of: str) -> list[Film]:
    """By the name of the film's file, or of a folder of pictures; the last parts that both have are enough. Raises
    InvalidInput."""
    wanted = (of.rpartition(".")[0] if is_film_name(of) else of).strip("/").removeprefix("./")
    wanted = "" if wanted == "." else wanted
    found = [film for film in films if film.name == wanted]
    found = found or [film for film in films if _is_end(wanted, film.name) or _is_end(film.name, wanted)]
    if not found:
        raise InvalidInput(f"no film is made of {of!r}; there are {named(films)}")
    return found


def _is_end(name: str, of: str) -> bool:
    return bool(name) and of.endswith(f"/{name}")


def named(films: Collection[Film]) -> str:
    names = [film.name or "." for film in films]
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def shown_at_ms(name: str) -> int | None:
    """From the beginning of its film; None for what is no frame."""
    found = _SHOWN.fullmatch(name)
    if found is None:
        return None
    hours, minutes, seconds, ms = map(int, found.groups()[1:])
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms


class _Group(NamedTuple):
    """is_timed: the names of its frames say when they are shown."""

    folder: str
    is_timed: bool
    frames: list[Frame]


def _groups(frames: Iterable[Frame], *, is_in_order: bool) -> Iterator[_Group]:
    """is_in_order: frames lie as their films showed them, so that where time does not go on another film of the same
    name begins. Else pictures are put in the order that people expect of their names."""
    folders: dict[tuple[str, bool], list[Frame]] = {}
    for frame in frames:
        is_timed = _SHOWN.fullmatch(frame.name) is not None
        folders.setdefault((frame.name.rpartition("/")[0], is_timed), []).append(frame)
    for (folder, is_timed), group in folders.items():
        if is_timed and is_in_order:
            yield from (_Group(folder, True, part) for part in _grown(group))
        else:
            yield _Group(folder, is_timed, sorted(group, key=lambda frame: _natural(frame.name)))


def _grown(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    part: list[Frame] = []
    last_ms = -1
    for frame in frames:
        at_ms = shown_at_ms(frame.name) or 0
        if at_ms <= last_ms:
            yield part
            part = []
        part.append(frame)
        last_ms = at_ms
    yield part


def _natural(name: str) -> list[tuple[int, str]]:
    """frame2 before frame10."""
    return [(int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in _DIGITS.split(name)]


def numbered(names: Sequence[str], *, alike: Callable[[str], str] = str) -> list[str]:
    """Each once: the second `drive` is `drive-2`, unless one is called so already. alike: what is equal of names that
    are taken for one."""
    own, taken, found = set(map(alike, names)), set[str](), list[str]()
    for first in names:
        name, count = first, 1
        while alike(name) in taken or (count > 1 and alike(name) in own):
            count += 1
            name = f"{first}-{count}"
        taken.add(alike(name))
        found.append(name)
    return found


def _timed(name: str, frames: Sequence[Frame], alone_ms: int) -> Film:
    """It begins with its first frame. alone_ms: how long its frame is shown where there is but one."""
    shown = [shown_at_ms(frame.name) or 0 for frame in frames]
    gaps = [later - earlier for earlier, later in pairwise(shown)]
    if any(gap <= 0 for gap in gaps):
        raise InvalidInput(
            f"two frames of {name or 'the job'} are shown at the same time; a rate (--fps) shows one after the other"
        )
    end = shown[-1] + (median_low(gaps) if gaps else alone_ms)
    return Film(name, frames, [at - shown[0] for at in [*shown, end]], MS)
