"""How much of what a key has asked for, and when that is too much. Limits are counted in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobs.callers import Caller
from jobs.errors import QuotaExceeded, RateLimited, TooManyImages
from jobs.tenants.ports import CredentialUnit, OpenCredentials
from jobs.tenants.standing import Standing

REQUESTS, IMAGES, QUEUED = "requests", "images", "queued-images"
MINUTE_S, DAY_S = 60, 24 * 3600
_IN_A_DAY, _IN_THE_QUEUE = "within 24 hours", "waiting at the same time"


def count_request(open_unit: OpenCredentials, caller: Caller) -> Standing | None:
    """None of a key without such a limit. Raises RateLimited, DatabaseUnavailable."""
    limit = caller.limits.requests_per_minute
    if caller.credential is None or limit is None:
        return None
    with open_unit(caller.tenant) as unit:
        used, left_s = unit.usage.add(caller.credential, REQUESTS, 1, period_s=MINUTE_S)
        standing = Standing(name=REQUESTS, limit=limit, used=used, period_s=MINUTE_S, left_s=left_s)
        if standing.is_exceeded:  # and not counted: who keeps asking is not kept out for ever
            raise RateLimited(f"this key may send {limit} requests per minute", standing)
        unit.commit()
    return standing


def admit(
    unit: CredentialUnit, caller: Caller, images: int, *, others: bool = False, way_out: str = "send fewer"
) -> None:
    """Count images that were queued in this transaction. others: they are of a job of another key, in whose queue they
    stand. Raises QuotaExceeded, or TooManyImages for more than the key may ever have: then it must not commit.

    way_out: what this error says that can be done.
    """
    if caller.credential is None or not caller.limits.of_images:
        return
    _refuse_if_hopeless(caller, images, way_out)
    # Also where only the queue is limited: whoever else submits with this key waits here until this has committed.
    used, left_s = unit.usage.add(caller.credential, IMAGES, images, period_s=DAY_S)
    for standing in _of_images(unit, caller, used=used, left_s=left_s):
        if standing.name == QUEUED and others:
            standing = replace(standing, used=standing.used + images)  # noqa: PLW2901
        if standing.is_exceeded:
            before = replace(standing, used=standing.used - images)
            raise QuotaExceeded(_sentence(before, images), before)


def _refuse_if_hopeless(caller: Caller, images: int, way_out: str) -> None:
    """What does not fit however long its client waits. Raises TooManyImages."""
    for limit, when in ((caller.limits.images_per_day, _IN_A_DAY), (caller.limits.queued_images, _IN_THE_QUEUE)):
        if limit is not None and images > limit:
            raise TooManyImages(f"this key may have {limit} images {when}, and {images} come at once: {way_out}")


def refuse_if_used_up(unit: CredentialUnit, caller: Caller) -> None:
    """Before a body is read that could not be taken. Raises QuotaExceeded."""
    for standing in standings(unit, caller):
        if standing.name != REQUESTS and not standing.remaining:
            raise QuotaExceeded(_sentence(standing, 1), standing)


def standings(unit: CredentialUnit, caller: Caller) -> Sequence[Standing]:
    """With each limit that the key has."""
    if caller.credential is None:
        return []
    found = []
    if (limit := caller.limits.requests_per_minute) is not None:
        used, left_s = unit.usage.so_far(caller.credential, REQUESTS, period_s=MINUTE_S)
        found.append(Standing(name=REQUESTS, limit=limit, used=used, period_s=MINUTE_S, left_s=left_s or MINUTE_S))
    if caller.limits.of_images:
        used, left_s = unit.usage.so_far(caller.credential, IMAGES, period_s=DAY_S)
        found += _of_images(unit, caller, used=used, left_s=left_s or DAY_S)
    return found


def _of_images(unit: CredentialUnit, caller: Caller, *, used: int, left_s: float) -> list[Standing]:
    found = []
    if (limit := caller.limits.images_per_day) is not None:
        found.append(Standing(name=IMAGES, limit=limit, used=used, period_s=DAY_S, left_s=left_s))
    if caller.credential is not None and (limit := caller.limits.queued_images) is not None:
        found.append(Standing(name=QUEUED, limit=limit, used=unit.usage.queued(caller.credential)))
    return found


def _sentence(standing: Standing, images: int) -> str:
    when = _IN_A_DAY if standing.period_s else _IN_THE_QUEUE
    return f"this key may have {standing.limit} images {when}; there are {standing.used}, and {images} more come"
