"""Images beside the whole of their job: how far the shares of an image's classes are from those of all its pixels.

A picture of another kind than the rest stands out by it, whatever the model's confidence says.
"""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from jobs.cursors import cursor_of, read_cursor
from jobs.job import Job, JobImage
from jobs.listing.filters import ImageFilter
from jobs.ports import UnitOfWork
from jobs.reporting.summary import class_fractions

CLASS_DRIFT = "class_drift"

Shares = Mapping[str, float]  # of the pixels, by class name


def class_drift(shares: Shares, usual: Shares) -> float:
    """Total variation distance of both, in [0, 1]: the share of pixels that would have to be of another class for the
    one to become the other. Classes that are left out have a share of 0."""
    return sum(abs(shares.get(name, 0.0) - usual.get(name, 0.0)) for name in shares.keys() | usual.keys()) / 2


def usual_shares(job: Job) -> Sequence[Shares]:
    """For each of the job's models, of all pixels that it has segmented by now."""
    return [class_fractions(totals) if totals.class_pixels else {} for totals in job.totals]


class DriftOrders:
    """The images of a job, the farthest from it first, by the first model; those without a result last.

    What is usual is known of a job as a whole, so an order is made by a look at all its images. It is kept until the
    job is another: only the first page costs that. Safe for many threads.
    """

    KEPT = 16  # orders; each takes 4 bytes an image

    def __init__(self) -> None:
        self._orders: OrderedDict[tuple[str, int, ImageFilter], Sequence[int]] = OrderedDict()
        self._lock = threading.Lock()

    def page(
        self, unit: UnitOfWork, job: Job, *, where: ImageFilter, limit: int, after: str | None
    ) -> tuple[Sequence[JobImage], str | None]:
        """One page and the next one's cursor. job: as it is now; while it runs, so does its order.

        Raises ValueError for a cursor that it did not make.
        """
        order = self._order(unit, job, where)
        start = 0 if after is None else order.index(_decoded(after)) + 1
        chosen = order[start : start + limit]
        more = start + limit < len(order)
        return unit.images.chosen(job.id, chosen), cursor_of(CLASS_DRIFT, chosen[-1]) if more else None

    def _order(self, unit: UnitOfWork, job: Job, where: ImageFilter) -> Sequence[int]:
        key = (job.id, job.version, where)
        with self._lock:
            found = self._orders.get(key)
            if found is not None:
                self._orders.move_to_end(key)
                return found
        made = _order(unit, job, where)
        with self._lock:
            self._orders[key] = made
            while len(self._orders) > self.KEPT:
                self._orders.popitem(last=False)
        return made


def _order(unit: UnitOfWork, job: Job, where: ImageFilter) -> Sequence[int]:
    usual = usual_shares(job)[0]
    placed = [
        (1.0 if shares is None else -class_drift(shares, usual), index)
        for index, shares in unit.images.class_shares(job.id, where=where)
    ]
    return array("I", (index for _, index in sorted(placed)))


def _decoded(cursor: str) -> int:
    name, index = read_cursor(cursor, count=2)
    if name != CLASS_DRIFT or type(index) is not int:
        raise ValueError("this cursor belongs to another order")
    return index
