"""Where a picture's bytes come from: the object store, the sample library, an address on the web."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jobs.errors import DownloadFailed, InputNotFound, ObjectNotFound, TooManyBytes
from jobs.job import Source, SourceKind
from jobs.keys import SAMPLE_MASK_SUFFIX
from jobs.ports import ObjectStore
from jobs.uploads.buckets import Buckets
from jobs.uploads.upload import size_in
from worker.web.downloads import FetchRules, fetch


class Samples(Protocol):
    """A `data.sample_library.SampleLibrary`: pictures and masks by id."""

    def picture(self, sample_id: str) -> bytes:
        """Raises SampleNotFound."""

    def mask(self, sample_id: str) -> bytes:
        """Raises SampleNotFound."""


@dataclass(frozen=True, slots=True)
class WorkerSources:
    """Implements `jobs.processing.picture_ports.Sources`."""

    objects: ObjectStore
    samples: Samples
    rules: FetchRules
    buckets: Buckets

    def read(self, source: Source, *, tenant: str) -> bytes:
        """Raises ObjectNotFound, InputNotFound, SampleNotFound, DownloadFailed, StorageUnavailable."""
        match source.kind:
            case SourceKind.OBJECT:
                return self.objects.get(source.location)
            case SourceKind.UPLOAD:
                return self._upload(source.location)
            case SourceKind.BUCKET:
                return self._bucket(source.location, tenant)
            case SourceKind.SAMPLE if source.location.endswith(SAMPLE_MASK_SUFFIX):
                return self.samples.mask(source.location.removesuffix(SAMPLE_MASK_SUFFIX))
            case SourceKind.SAMPLE:
                return self.samples.picture(source.location)
            case SourceKind.URL:
                return fetch(source.location, self.rules)

    def _upload(self, key: str) -> bytes:
        """What was announced, and all of it."""
        try:
            data = self.objects.get(key)
        except ObjectNotFound:
            raise InputNotFound("the upload never arrived") from None
        if len(data) != size_in(key):
            raise DownloadFailed(f"the upload has {len(data)} bytes, not {size_in(key)} as announced", retryable=False)
        return data

    def _bucket(self, location: str, tenant: str) -> bytes:
        bucket = location.partition("/")[0]
        if not self.buckets.allows(bucket, tenant):
            raise InputNotFound(f"{bucket!r} is no bucket that inputs may come from, not any more")
        try:
            return self.buckets.read(location, most=self.rules.max_bytes)
        except ObjectNotFound:
            raise InputNotFound(f"there is no object {location}") from None
        except TooManyBytes as error:
            raise DownloadFailed(str(error), retryable=False) from error
