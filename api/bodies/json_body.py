"""A JSON body while it comes: its inputs one by one, and nothing held beyond what is asked for.

Parsed whole, a body of 64 MiB takes up to 25 times as much memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import ijson
from ijson.common import ObjectBuilder

from api.errors import BadRequest

OPTION_EVENTS = 20_000  # names, values and brackets of everything but the inputs
ITEM_EVENTS = 200  # of one input
LONGEST_RUN = 16 * 1024  # bytes between two quotation marks: no text and no number of ours is longer
MOST_DIGITS = 1_000  # in a row; of a whole number of more than Python reads, 4,300, the parser's process dies
_TOO_MANY_DIGITS = re.compile(rb"[0-9]{%d}" % (MOST_DIGITS + 1))
_LAST_DIGITS = re.compile(rb"[0-9]*\Z")
_SOUND_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u(?![dD][89a-fA-F])|[^u])", re.DOTALL
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OPENING, _CLOSING = frozenset({"start_map", "start_array"}), frozenset({"end_map", "end_array"})

Event = tuple[str, Any]


def read_json(pieces: Iterable[bytes], *, lists: Mapping[str, Callable[[Any], None]]) -> dict[str, Any]:
    """The fields of an object. Each item of a list that `lists` names is given to its function as it comes, and the
    field is then [].

    Raises BadRequest for what is no JSON object, or holds more than any request needs; and whatever `take` raises.
    """
    values: dict[str, Any] = {}
    events = _Counted(_events(pieces), OPTION_EVENTS)
    try:
        if next(events, ("", None)) != ("start_map", None):
            raise BadRequest("the body must be a JSON object")
        for event, name in events:
            if event == "end_map":
                break
            if name in lists and name in values:
                raise BadRequest(f"the body has {name!r} twice")
            kind, value = next(events)
            if name in lists and kind == "start_array":
                _take_items(events.uncounted, lists[name])
                value = []
            elif kind in _OPENING:
                value = _built((kind, value), events)
            values[name] = _number(value)
        next(events, None)  # there is no more, or it is no JSON
    except (ijson.JSONError, UnicodeDecodeError, ValueError, OverflowError) as error:
        raise BadRequest(f"the body is not readable JSON: {_first_line(error)}") from error
    return values


def _events(pieces: Iterable[bytes]) -> Iterator[Event]:
    events: Iterator[Event] = iter(ijson.basic_parse(_File(pieces)))
    return events


def _take_items(events: Iterator[Event], take: Callable[[Any], None]) -> None:
    for kind, value in events:
        if kind == "end_array":
            return
        if kind == "start_map":
            take(_flat_map(events))
        else:
            take(_built((kind, value), _Counted(events, ITEM_EVENTS)) if kind in _OPENING else _number(value))


def _flat_map(events: Iterator[Event]) -> dict[str, Any]:
    """What `_built` makes of an object, at half the cost where it holds texts alone, as nearly all inputs do."""
    values: dict[str, Any] = {}
    key, left = "", ITEM_EVENTS
    for kind, value in events:
        if kind == "map_key":
            key = value
        elif kind == "end_map":
            break
        elif kind in _OPENING:
            values[key] = _built((kind, value), _Counted(events, ITEM_EVENTS))
        else:
            values[key] = _number(value)
        left -= 1
        if left < 0:
            raise _too_much()
    return values


def _built(first: Event, events: Iterator[Event]) -> Any:
    builder = ObjectBuilder()
    builder.event(*first)
    depth = 1
    for kind, value in events:
        builder.event(kind, _number(value))
        depth += (kind in _OPENING) - (kind in _CLOSING)
        if not depth:
            break
    return builder.value


def _number(value: Any) -> Any:
    """As JSON is usually read; the parser would either lose digits of whole numbers or keep all of the others."""
    return float(value) if type(value) is Decimal else value


class _Counted:
    """Events, up to a number of them."""

    def __init__(self, events: Iterator[Event], limit: int) -> None:
        self.uncounted = events
        self._left = limit

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event = next(self.uncounted)
        self._left -= 1
        if self._left < 0:
            raise _too_much()
        return event


class _File:
    """What the parser reads from. A text or a number of any length would be held whole by it."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._started = False
        self._run = 0
        self._open = b""  # behind the last quotation mark
        self._digits = b""  # with which the last piece ended

    def read(self, size: int = -1, /) -> bytes:
        if not size:
            return b""  # asked for once, to learn that these are bytes
        piece = next(self._pieces, b"")
        if not self._started:
            piece = piece.removeprefix(_BYTE_ORDER_MARK)
            piece = piece or next(self._pieces, b"")
            self._started = True
        self._check(piece)
        return piece

    def _check(self, piece: bytes) -> None:
        first, *others = piece.split(b'"')
        longest = max([self._run + len(first), *map(len, others)])
        if longest > LONGEST_RUN:
            raise BadRequest(f"the body holds a text or number of more than {LONGEST_RUN} bytes")
        self._run = len(others[-1]) if others else self._run + len(first)
        self._check_digits(self._digits + piece)
        self._check_escapes(self._open + piece)

    def _check_digits(self, text: bytes) -> None:
        if _TOO_MANY_DIGITS.search(text):
            raise BadRequest(f"the body holds more than {MOST_DIGITS} digits in a row")
        found = _LAST_DIGITS.search(text[-MOST_DIGITS:])
        self._digits = found[0] if found else b""

    def _check_escapes(self, text: bytes) -> None:
        """The parser would put a question mark in the place of half a surrogate pair."""
        end = text.rfind(b'"') + 1
        texts, self._open = text[:end], text[end:]
        if b"\\u" in texts and b"\\" in _SOUND_ESCAPES.sub(b"", texts):
            raise BadRequest("the body holds half a surrogate pair, which is no letter")


def _too_much() -> BadRequest:
    return BadRequest("the body, or one of its inputs, holds more values than any request needs")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["?"])[0]
