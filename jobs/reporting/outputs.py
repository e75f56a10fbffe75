"""Results that a job wants in a bucket: the files of its archive, put there when it has ended. Called by upkeep.

Nothing is written down of it: `manifest.json` comes last and tells of the job as it is, and of which version, so where
the same one lies all is there. Putting a file twice does no harm. Each job has a folder of its own: two that name the
same place overwrite nothing of each other, whosever they are.
"""

from __future__ import annotations

import hashlib
import logging
import math
import mimetypes
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from posixpath import splitext
from typing import NamedTuple

from jobs.callers import Caller
from jobs.errors import JobNotFinished, JobNotFound, ObjectNotFound, StorageUnavailable, TooManyBytes
from jobs.inputs.inputs import Inputs
from jobs.job import Job
from jobs.ports import ModelCatalog, OpenUnit
from jobs.reporting.archive import (
    CORRECTED,
    ERRORS_CSV,
    FILES_MISSING,
    MISSING_HEAD,
    Archive,
    Archives,
    Entry,
    kind_of,
)
from jobs.reporting.reports import ErrorTable
from jobs.uploads.buckets import Buckets
from jobs.uploads.piece_reader import PieceReader

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
LOOKED_BACK = timedelta(days=1)  # what ended or was corrected longer ago is there, or its bucket was away for as long
LONGEST_PART = 255  # bytes, between two slashes
LONGEST_NAME = 400  # bytes; S3 takes keys of 1,024, of which the longest folder of a job takes 543
LOT = 500  # jobs that are read at once: databases take no statement of any length
ROUND_S = 20.0  # a long job goes on in the next round
LOOK_AGAIN_S = 3600.0  # after which lost files may be back: each is asked for
_LONGEST_TABLE = 2**40  # of which only the beginning is looked at
_LAST = {FILES_MISSING: 1, MANIFEST: 2}  # where they lie, all else that they tell of does


class _Begun(NamedTuple):
    """How many files of an archive, in their order, were put. mark: its fingerprint; others have other files."""

    mark: str
    files: int

    def after(self, before: _Begun | None) -> int:
        """How many more these are."""
        return self.files - (before.files if before is not None and before.mark == self.mark else 0)


@dataclass(slots=True)
class Outputs:
    """Of one process. software: name and version, for the manifest."""

    open_unit: OpenUnit
    inputs: Inputs
    catalog: ModelCatalog
    software: str
    round_s: float = ROUND_S
    look_again_s: float = LOOK_AGAIN_S
    _seen: dict[str, int] = field(default_factory=dict)  # versions of jobs that need nothing more
    _put: dict[str, _Begun] = field(default_factory=dict)  # by job
    _lossy: dict[str, float] = field(default_factory=dict)  # jobs with files lost by the store: when it was asked last
    _running: threading.Lock = field(default_factory=threading.Lock)

    @property
    def buckets(self) -> Buckets:
        return self.inputs.kept.buckets

    def run(self) -> int:
        """One round, and no two at once. Returns how many files were put. Raises DatabaseUnavailable."""
        if not self._running.acquire(blocking=False):
            return 0
        try:
            return self._round(time.monotonic() + self.round_s)
        finally:
            self._running.release()

    def to_come(self, job_ids: Sequence[str]) -> frozenset[str]:
        """Those of these jobs whose files are still to be put, as far as this process knows: they are not to be deleted
        as long as that is tried. Raises DatabaseUnavailable."""
        if not job_ids:
            return frozenset()
        with self.open_unit() as unit:
            since = unit.now - LOOKED_BACK
            found = [job for lot in _lots(job_ids) for job in unit.jobs.several(lot) if job.options.output is not None]
            tried = unit.corrections.jobs_since(since) if found else frozenset()
        tried |= {job.id for job in found if job.finished_at is None or job.finished_at >= since}
        return frozenset(job.id for job in found if job.id in tried and self._seen.get(job.id) != job.version)

    def _round(self, until: float) -> int:
        with self.open_unit() as unit:
            since = unit.now - LOOKED_BACK
            versions = {each.job_id: each.version for each in unit.jobs.standing(since=since)}
        changed = [
            job_id
            for job_id, version in versions.items()
            if self._seen.get(job_id) != version or self._may_be_whole(job_id)
        ]
        self._seen = {job_id: self._seen[job_id] for job_id in versions if job_id in self._seen}
        self._put = {job_id: self._put[job_id] for job_id in versions if job_id in self._put}
        self._lossy = {job_id: self._lossy[job_id] for job_id in versions if job_id in self._lossy}
        return sum(self._write_all(lot, until) for lot in _lots(changed))

    def _write_all(self, job_ids: Sequence[str], until: float) -> int:
        with self.open_unit() as unit:
            jobs = unit.jobs.several(job_ids)
        files = 0
        for job in jobs:
            if job.options.output is None or not job.is_finished:
                self._seen[job.id] = job.version
            elif time.monotonic() < until:
                files += self._write(job, until)
        return files

    def _may_be_whole(self, job_id: str) -> bool:
        """What was lost may be back: a disk that was not mounted, a bucket that was restored."""
        return time.monotonic() - self._lossy.get(job_id, math.inf) >= self.look_again_s

    def _write(self, job: Job, until: float) -> int:
        """As much as there is time for. What cannot be put now is tried again in the next round.

        Whoever broke off at another archive asks no manifest: it may be that of a process that was faster, and lie
        beside files of the older one that came after its own.
        """
        bucket, _, _ = (job.options.output or "").partition("/")
        if not self.buckets.allows(bucket, job.tenant, output=True):
            logger.warning(
                "results may not be put there any more", extra={"action": "output_refused", "job_id": job.id}
            )
            self._seen[job.id] = job.version
            self._lossy.pop(job.id, None)
            return 0
        before = self._put.get(job.id)
        try:
            return self._put_files(job, until)
        except (StorageUnavailable, ObjectNotFound) as error:
            extra = {"action": "output_postponed", "job_id": job.id, "reason": str(error)}
            logger.warning("results could not be put into their bucket; they are tried again", extra=extra)
        except (JobNotFound, JobNotFinished):
            return 0  # changed meanwhile: the next round sees how it is
        return self._put[job.id].after(before) if job.id in self._put else 0

    def _put_files(self, job: Job, until: float) -> int:
        if job.id not in self._put and self._lacks_files(job):  # as another process put it
            self._lossy.setdefault(job.id, time.monotonic())
        archive = self._archive(job)
        entries = sorted(archive.entries, key=lambda entry: _LAST.get(entry.name, 0))
        if job.id in self._lossy and all(entry.key is None for entry in entries):
            raise ObjectNotFound("the store has none of its files, and may be away")
        if job.id not in self._put and self._is_there(job, archive, entries[-1]):
            self._end(job, entries)
            return 0
        mark = archive.fingerprint
        begun = self._put.get(job.id)
        first = begun.files if begun is not None and begun.mark == mark else 0
        self._put[job.id] = _Begun(mark, first)
        if not _has(entries, ERRORS_CSV):  # of a job that was tried again, none failed then
            self._empty(f"{_folder(job)}{ERRORS_CSV}", ErrorTable().head())
        for count, entry in enumerate(entries[first:], start=first + 1):
            if time.monotonic() >= until:
                return count - 1 - first
            media_type = mimetypes.guess_type(entry.name)[0] or "application/octet-stream"
            self.buckets.put(_place(job, entry), PieceReader(self._whole(job, archive, entry)), media_type=media_type)
            self._put[job.id] = _Begun(mark, count)
        if not _has(entries, FILES_MISSING):
            self._empty(f"{_folder(job)}{FILES_MISSING}", MISSING_HEAD)
        del self._put[job.id]
        self._end(job, entries)
        return len(entries) - first

    def _end(self, job: Job, entries: Iterable[Entry]) -> None:
        """All that there is lies there."""
        self._seen[job.id] = job.version
        if not _has(entries, FILES_MISSING):
            self._lossy.pop(job.id, None)

    def _archive(self, job: Job) -> Archive:
        """Without what is lost now, where something was. Raises what `Archives.open` does."""
        is_lossy = job.id in self._lossy
        if is_lossy:
            self._lossy[job.id] = time.monotonic()
        archives = Archives(self.open_unit, self.inputs, self.catalog, self.software, Caller(job.tenant, "read"))
        try:
            return archives.open(job.id, without_lost=is_lossy)
        except ObjectNotFound:
            self._lossy[job.id] = time.monotonic()
            raise

    def _whole(self, job: Job, archive: Archive, entry: Entry) -> Iterator[bytes]:
        """Raises ObjectNotFound where the store has lost it, or a part of it."""
        left = entry.size
        try:
            for piece in archive.read(entry):
                left -= len(piece)
                yield piece
            if left:
                raise ObjectNotFound(f"{entry.name} has not the {entry.size} bytes that it was stored with")
        except ObjectNotFound:
            self._lossy[job.id] = time.monotonic()
            raise

    def _empty(self, location: str, head: bytes) -> None:
        """A table that tells what is no longer so: a bucket may let nobody delete."""
        if self._has_rows(location, head):
            self.buckets.put(location, head, media_type="text/csv")

    def _lacks_files(self, job: Job) -> bool:
        return self._has_rows(f"{_folder(job)}{FILES_MISSING}", MISSING_HEAD)

    def _has_rows(self, location: str, head: bytes) -> bool:
        """Whether a table lies there that is not its head alone."""
        try:
            pieces = self.buckets.stream(location, most=_LONGEST_TABLE)
            return not head.startswith(b"".join(_first_of(pieces, len(head) + 1)))
        except ObjectNotFound:
            return False

    def _is_there(self, job: Job, archive: Archive, manifest: Entry) -> bool:
        """Looked at once by each process. A file of an older version may lie beside the manifest, written late by a
        process that was killed then: of jobs that have had several, tables and corrections are looked at, too. What is
        lost, its own table tells, and no manifest."""
        is_lossy = job.id in self._lossy
        if not self._holds(job, manifest):
            return False
        if is_lossy and not _has(archive.entries, FILES_MISSING) and self._lacks_files(job):
            return False
        if not (job.finished_before or archive.entries.corrected or is_lossy):
            return True
        may_be_old = (each for each in archive.entries if each.key is None or kind_of(each.name) == CORRECTED)
        return all(self._holds(job, each) for each in may_be_old)

    def _holds(self, job: Job, entry: Entry) -> bool:
        size = crc32 = 0
        try:
            for piece in self.buckets.stream(_place(job, entry), most=entry.size):
                size, crc32 = size + len(piece), zlib.crc32(piece, crc32)
        except (ObjectNotFound, TooManyBytes):
            return False
        return (size, crc32) == (entry.size, entry.crc32)


def _has(entries: Iterable[Entry], name: str) -> bool:
    return any(each.name == name for each in entries)


def _first_of(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """As many as have that many bytes together."""
    for piece in pieces:
        yield piece
        size -= len(piece)
        if size <= 0:
            return


def fitting(name: str) -> str:
    """A name in an archive, as buckets take it: what is too long for one is cut, and told apart by a checksum."""
    parts = name.split("/")
    if len(name.encode()) > LONGEST_NAME:
        parts = [parts[0], _cut(parts[-1], name)]
    return "/".join(part if len(part.encode()) <= LONGEST_PART else _cut(part, part) for part in parts)


def _cut(part: str, told_apart_by: str) -> str:
    """In bytes: letters of most languages have several."""
    stem, suffix = splitext(part)
    end = f"_{hashlib.sha256(told_apart_by.encode()).hexdigest()[:16]}{suffix}"
    return stem.encode()[: LONGEST_PART - len(end.encode())].decode(errors="ignore") + end


def _lots(job_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (job_ids[at : at + LOT] for at in range(0, len(job_ids), LOT))


def _place(job: Job, entry: Entry) -> str:
    return f"{_folder(job)}{fitting(entry.name)}"


def _folder(job: Job) -> str:
    return f"{job.options.output}{job.id}/"
