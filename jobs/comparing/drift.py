"""Images beside the whole of their job: how far the shares of an image's classes are from those of all its pixels.

A picture of another kind than the rest stands out by it, whatever the model's confidence says.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

from jobs.job import ImageStatus, Job, JobImage
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


def drifted_page(
    unit: UnitOfWork, job: Job, *, status: ImageStatus | None, limit: int, after: str | None
) -> tuple[Sequence[JobImage], str | None]:
    """One page and the next one's cursor: the farthest from the job first, by the first model; images without a result
    last. Each page looks at the shares of all images, so the order is one of the job as it is now.

    Raises ValueError for a cursor that it did not make.
    """
    order = _order(unit, job, status)
    start = 0 if after is None else order.index(_decoded(after)) + 1
    chosen = order[start : start + limit]
    more = start + limit < len(order)
    return unit.images.chosen(job.id, chosen), _encoded(chosen[-1]) if more else None


def _order(unit: UnitOfWork, job: Job, status: ImageStatus | None) -> Sequence[int]:
    usual = usual_shares(job)[0]
    placed = [
        (1.0 if shares is None else -class_drift(shares, usual), index)
        for index, shares in unit.images.class_shares(job.id, status=status)
    ]
    return [index for _, index in sorted(placed)]


def _encoded(index: int) -> str:
    return base64.urlsafe_b64encode(f"{CLASS_DRIFT} {index}".encode()).decode().rstrip("=")


def _decoded(cursor: str) -> int:
    try:
        name, _, index = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(" ")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("this cursor was not made here") from error
    if name != CLASS_DRIFT or not index.isdecimal() or len(index) > 10:
        raise ValueError("this cursor belongs to another order")
    return int(index)
