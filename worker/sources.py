"""Where a picture's bytes come from: the object store, the sample library, an address on the web."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jobs.errors import DownloadFailed, InputNotFound, ObjectNotFound, StorageUnavailable, TooManyBytes
from jobs.job import Source, SourceKind
from jobs.keys import SAMPLE_MASK_SUFFIX
from jobs.ports import ObjectStore
from jobs.uploads.buckets import Buckets
from jobs.uploads.upload import size_in
from segmentation.picture_files.file_data import FileData, collected
from worker.web.downloads import FetchRules, fetch


class Samples(Protocol):
    """A `data.sample_library.SampleLibrary`: pictures and masks by id."""

    def picture(self, sample_id: str) -> bytes:
        """Raises SampleNotFound."""

    def mask(self, sample_id: str) -> bytes:
        """Raises SampleNotFound."""


@dataclass(frozen=True, slots=True)
class WorkerSources:
    """Implements `jobs.processing.picture_ports.Sources`. spool: where large files lie; None: the system's place."""

    objects: ObjectStore
    samples: Samples
    rules: FetchRules
    buckets: Buckets
    spool: Path | None = None

    def read(self, source: Source, *, tenant: str, check: Callable[[], None] = lambda: None) -> FileData:
        """Raises ObjectNotFound, InputNotFound, SampleNotFound, DownloadFailed, StorageUnavailable."""
        try:
            data = collected(_checked(self._pieces(source, tenant), check), self.spool)
        except OSError as error:
            raise StorageUnavailable(f"the worker's disk does not take the input: {error.strerror}") from error
        if source.kind is SourceKind.UPLOAD and len(data) != size_in(source.location):
            said = f"the upload has {len(data)} bytes, not {size_in(source.location)} as announced"
            raise DownloadFailed(said, retryable=False)
        return data

    def _pieces(self, source: Source, tenant: str) -> Iterator[bytes]:
        match source.kind:
            case SourceKind.OBJECT:
                return self.objects.stream(source.location)
            case SourceKind.UPLOAD:
                return self._upload(source.location)
            case SourceKind.BUCKET:
                return self._bucket(source.location, tenant)
            case SourceKind.SAMPLE if source.location.endswith(SAMPLE_MASK_SUFFIX):
                return iter([self.samples.mask(source.location.removesuffix(SAMPLE_MASK_SUFFIX))])
            case SourceKind.SAMPLE:
                return iter([self.samples.picture(source.location)])
            case SourceKind.URL:
                return fetch(source.location, self.rules)

    def _upload(self, key: str) -> Iterator[bytes]:
        try:
            return self.objects.stream(key)
        except ObjectNotFound:
            raise InputNotFound("the upload never arrived") from None

    def _bucket(self, location: str, tenant: str) -> Iterator[bytes]:
        bucket = location.partition("/")[0]
        if not self.buckets.allows(bucket, tenant):
            raise InputNotFound(f"{bucket!r} is no bucket that inputs may come from, not any more")
        try:
            yield from self.buckets.stream(location, most=self.rules.max_bytes)
        except ObjectNotFound:
            raise InputNotFound(f"there is no object {location}") from None
        except TooManyBytes as error:
            raise DownloadFailed(str(error), retryable=False) from error


def _checked(pieces: Iterable[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        check()
