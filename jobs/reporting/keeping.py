"""Keeps parts of the archives of large jobs while these grow: as soon as their last image ends, and what that leaves
out by upkeep, a few at a time."""

from __future__ import annotations

from contextlib import suppress

from jobs.errors import DatabaseUnavailable
from jobs.job import ImageStatus, Job
from jobs.ports import Claim, OpenUnit
from jobs.reporting.kept_parts import PART
from jobs.reporting.pieces import survey

LEAST_IMAGES = 2 * PART  # of a job; smaller ones are surveyed as quickly
MOST_PARTS = 20  # in one round
UNFINISHED = 4  # parts that are looked at in vain: beyond them the job has hardly begun


def keep_parts(open_unit: OpenUnit, watched: set[str]) -> int:
    """Returns how many were kept. watched: the large jobs of earlier rounds; one that has ended is looked at until all
    its parts are kept."""
    with open_unit() as unit:
        watched.update(unit.jobs.large(images=LEAST_IMAGES))
        jobs = unit.jobs.several(watched)
    watched.intersection_update(job.id for job in jobs)
    kept = 0
    for job in jobs:
        kept += _keep(open_unit, job, watched, most=MOST_PARTS - kept)
    return kept


def keep_ripe(open_unit: OpenUnit, claim: Claim) -> None:
    """After the images of a claim have ended: the parts that wait for no others. A job that has just ended can be
    downloaded as quickly as later. What cannot be kept now is left to upkeep."""
    if claim.job.counts.total < LEAST_IMAGES:
        return
    with suppress(DatabaseUnavailable):
        for first in sorted({image.index - image.index % PART for image in claim.images}):
            _keep_one(open_unit, claim.job.id, first)


def _keep(open_unit: OpenUnit, job: Job, watched: set[str], *, most: int) -> int:
    with open_unit() as unit:
        there = unit.parts.firsts(job.id)
    missing = [first for first in range(0, job.counts.total, PART) if first not in there]
    kept = in_vain = 0
    for first in missing:
        if kept == most or in_vain == UNFINISHED:
            break
        done = _keep_one(open_unit, job.id, first)
        kept, in_vain = kept + done, in_vain + (not done)
    if job.is_finished and kept == len(missing):
        watched.discard(job.id)
    return kept


def _keep_one(open_unit: OpenUnit, job_id: str, first: int) -> bool:
    """Whether all its images have ended."""
    with open_unit() as unit:
        if not unit.parts.is_ripe(job_id, first, first + PART - 1):
            return False
        for job in unit.jobs.several({job_id}):  # none when it was deleted meanwhile
            images = unit.images.run(job.id, first=first, last=first + PART - 1)
            succeeded = all(image.status is ImageStatus.SUCCEEDED for image in images)
            unit.parts.keep(job.id, first, survey(job, images).packed() if succeeded else None)
            unit.commit()
    return True
