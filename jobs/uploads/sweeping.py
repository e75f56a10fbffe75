"""Removing uploads that nobody used in time, and those whose last job is gone. Called by upkeep."""

from __future__ import annotations

import logging

from jobs.errors import StorageUnavailable
from jobs.ports import ObjectStore, OpenUnit
from jobs.uploads.upload import Upload

logger = logging.getLogger(__name__)

STORE_IS_AWAY = 3  # objects that cannot be deleted in one round: the others will not be either
GRACE_S = 3600.0  # what was begun before an address ended may still come
MOST = 500  # of one round


def sweep_uploads(open_unit: OpenUnit, objects: ObjectStore, *, after: str) -> tuple[int, str]:
    """One round over those behind the id `after`. Returns how many were removed, and where the next round goes on: what
    cannot be deleted stands in nobody's way. Raises DatabaseUnavailable."""
    with open_unit() as unit:
        found = unit.uploads.expired(for_s=GRACE_S, limit=MOST, after=after)
    removed = failed = 0
    for each in found:
        if not _delete(objects, each):
            failed += 1
            if failed == STORE_IS_AWAY:
                return removed, each.id
            continue
        with open_unit() as unit:
            unit.uploads.remove(each.id)
            unit.commit()
        removed += 1
    return removed, found[-1].id if len(found) == MOST else ""


def _delete(objects: ObjectStore, upload: Upload) -> bool:
    try:
        objects.abandon(upload.key)
        objects.delete(upload.key)
    except StorageUnavailable as error:
        extra = {"action": "deletion_postponed", "upload": upload.id, "reason": str(error)}
        logger.warning("an upload could not be deleted; it is tried again", extra=extra)
        return False
    return True
