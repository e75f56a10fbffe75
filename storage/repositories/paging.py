"""Pages of images by key: in which orders they can be read, and where the cursor of each goes on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, cast, func, select, tuple_

from jobs.cursors import cursor_of, read_cursor
from jobs.listing.filters import ImageFilter
from storage.ledger import is_in
from storage.tables import IMAGE, IMAGES

LARGEST_INDEX = 2**31 - 1
_PLACES = {column.key: place for place, column in enumerate(IMAGES.columns)}  # in a row


@dataclass(frozen=True, slots=True)
class Place:
    """The last image that was read. `value` None: the images without a value have begun."""

    value: float | None
    index: int


@dataclass(frozen=True, slots=True)
class Order:
    """By `column` and then by index, images without a value last; by index alone where there is no column."""

    name: str
    column: ColumnElement[float] | None = None

    @property
    def start(self) -> Place:
        return Place(None if self.column is None else -math.inf, -1)

    def statements(self, place: Place) -> Iterator[Select[Any]]:
        """What comes after `place`, in parts that each walk along one index."""
        by_index = select(IMAGES).order_by(IMAGE["index"])
        if self.column is None:
            yield by_index.where(IMAGE["index"] > place.index)
        elif place.value is None:
            yield by_index.where(self.column.is_(None), IMAGE["index"] > place.index)
        else:
            after = select(IMAGES).where(self.column.is_not(None)).order_by(self.column, IMAGE["index"])
            if place.value != -math.inf:
                after = after.where(tuple_(self.column, IMAGE["index"]) > (place.value, place.index))
            yield after
            yield by_index.where(self.column.is_(None))

    def encode(self, row: Sequence[Any]) -> str:
        """Of the last image of a page, by its row: an image from before a column was there has no value, whatever its
        results tell. row: every column in the table's order."""
        value = None if self.column is None else row[_PLACES[self.name]]
        return cursor_of(self.name, value, row[_PLACES["index"]])

    def decode(self, cursor: str) -> Place:
        """Raises ValueError for anything that `encode` of this order did not make."""
        name, value, index = read_cursor(cursor, count=3)
        known = name == self.name and type(index) is int and 0 <= index <= LARGEST_INDEX
        if not known or not (value is None or (self.column is not None and type(value) in (int, float))):
            raise ValueError("this cursor belongs to another order")
        return Place(None if value is None else float(value), index)  # a database takes no whole number of any length


def conditions(where: ImageFilter) -> Sequence[ColumnElement[bool]]:
    """Of images of one job, which are walked along whatever is picked out of them."""
    found: list[ColumnElement[bool]] = []
    if where.status is not None:
        found.append(is_in(where.status))
    if where.ref is not None:
        found.append(IMAGE.ref == where.ref)
    if where.name is not None:
        found.append(func.substr(IMAGE.name, 1, len(where.name)) == where.name)  # LIKE folds case in one database
    if where.warning is not None:  # no text in JSON holds a quote that is not escaped
        found.append(cast(IMAGE.warnings, Text).contains(f'"code":"{where.warning}"', autoescape=True))
    if where.error is not None:
        found.append(IMAGE.failure_code == where.error)
    return found


ORDERS = {
    "index": Order("index"),
    "confidence": Order("confidence", IMAGE.confidence),
    "miou": Order("miou", IMAGE.miou),
    "accord": Order("accord", IMAGE.accord),
    "clarity": Order("clarity", IMAGE.clarity),
    "surety": Order("surety", IMAGE.surety),
}
