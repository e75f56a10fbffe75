"""Uploads for tests, and jobs that are made of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from jobs.job import NewImage, Source, SourceKind
from jobs.uploads.upload import Upload, UploadKind
from tests.factories import NOON, make_job
from tests.job_steps import Units

SOON = NOON + timedelta(seconds=60)


def make_upload(number: int = 1, **changes: Any) -> Upload:
    made = Upload(
        id=f"upl_{number:026d}",
        tenant="default",
        name=f"cam/{number}.jpg",
        size=5 * 2**30,
        media_type="image/jpeg",
        kind=UploadKind.IMAGE,
        created_at=NOON,
        expires_at=SOON,
        secret="s" * 64,
    )
    return replace(made, **changes)


def add_uploads(open_unit: Units, *uploads: Upload) -> None:
    with open_unit() as unit:
        unit.uploads.add(uploads)
        unit.commit()


def add_job_of(open_unit: Units, job_id: str, *used: Upload, masks: bool = False) -> None:
    """A job whose images, or whose masks, are these."""
    places = [Source(SourceKind.UPLOAD, each.key) for each in used]
    images = [NewImage(Source(SourceKind.SAMPLE, "a"), "a", mask=each) for each in places]
    with open_unit() as unit:
        assert unit.uploads.use([each.id for each in used]) == len({each.id for each in used})
        unit.jobs.add(make_job(len(used), job_id=job_id), images if masks else [NewImage(each, "a") for each in places])
        unit.commit()
