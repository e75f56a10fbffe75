"""Inputs and masks of images, looked at again. What was segmented is shown, or nothing: never another picture that has
taken its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from data.sample_library import SampleNotFound
from jobs.errors import (
    ArtifactNotFound,
    DownloadFailed,
    InputChanged,
    InputNotFound,
    ObjectNotFound,
    StorageUnavailable,
)
from jobs.inputs.kept import KeptSources
from jobs.job import Job, JobImage, Source
from jobs.ports import ObjectStore
from jobs.uploads.buckets import bounded
from segmentation.picture_files.file_data import HELD_BYTES, FileData, collected, sha256_of

_GONE = (ObjectNotFound, InputNotFound, DownloadFailed, SampleNotFound)


@dataclass(frozen=True, slots=True)
class Inputs:
    """spool: where files of many bytes lie while they are looked at; None: the system's place."""

    kept: KeptSources
    spool: Path | None = None

    @property
    def objects(self) -> ObjectStore:
        return self.kept.objects

    def picture(self, job: Job, image: JobImage, *, most: int | None = None, held: int | None = None) -> FileData:
        """Before it was read for the first time, the one that lies there now. most: bytes that are wanted; held: of
        which no more are kept in memory.

        Raises InputNotKept, InputChanged, ArtifactNotFound (it is gone, or the tenant may not read it any more),
        StorageUnavailable, and TooManyBytes for more than `most`.
        """
        what = _What(f"the input of image {image.index}", image.source, image.input_sha256)
        return self._read(job, what, most, held)

    def mask(self, job: Job, image: JobImage) -> FileData:
        """Of an image that has one. Raises as `picture`, and InputChanged only where the hash of the mask is known."""
        assert image.mask is not None
        return self._read(job, _What(f"the mask of image {image.index}", image.mask, image.mask_sha256), None, None)

    def _read(self, job: Job, wanted: _What, most: int | None, held: int | None) -> FileData:
        what, source, sha256 = wanted
        try:
            pieces = self.kept.pieces(source, tenant=job.tenant)
            data = collected(
                pieces if most is None else bounded(pieces, most), self.spool, held=HELD_BYTES if held is None else held
            )
        except _GONE as error:
            raise ArtifactNotFound(f"{what} is gone: {error}") from error
        except OSError as error:
            raise StorageUnavailable(f"the disk does not take {what}: {error.strerror}") from error
        if not source.is_stored and sha256 not in (None, sha256_of(data)):
            raise InputChanged(f"{what} is another file now than the one that was segmented")
        return data


class _What(NamedTuple):
    """name: for people. sha256: hex, of the bytes that were worked on; None where nobody knows."""

    name: str
    source: Source
    sha256: str | None
