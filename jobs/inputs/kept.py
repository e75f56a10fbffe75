"""Where the bytes of inputs lie that nobody has to fetch from the web: the store, the sample library, buckets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from jobs.errors import DownloadFailed, InputNotFound, InputNotKept, ObjectNotFound, TooManyBytes
from jobs.job import Source, SourceKind
from jobs.keys import SAMPLE_MASK_SUFFIX
from jobs.ports import ObjectStore
from jobs.uploads.buckets import Buckets


class Samples(Protocol):
    """A `data.sample_library.SampleLibrary`: pictures and masks by id."""

    def picture(self, sample_id: str, /) -> bytes:
        """Raises SampleNotFound."""

    def mask(self, sample_id: str, /) -> bytes:
        """Raises SampleNotFound."""


def is_kept(source: Source) -> bool:
    """Whether it can be read once more. What was fetched from an address is forgotten as soon as it was segmented."""
    return source.kind is not SourceKind.URL


@dataclass(frozen=True, slots=True)
class KeptSources:
    """max_bytes: of an object in a bucket."""

    objects: ObjectStore
    buckets: Buckets
    samples: Samples
    max_bytes: int

    def pieces(self, source: Source, *, tenant: str) -> Iterator[bytes]:
        """What may be read is asked again: a right of the tenant may have been withdrawn since it submitted.

        Raises InputNotKept, ObjectNotFound, InputNotFound, SampleNotFound, DownloadFailed, StorageUnavailable; some
        with a later piece.
        """
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
                raise InputNotKept("what came from an address on the web is not kept, and not fetched again")

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
            yield from self.buckets.stream(location, most=self.max_bytes)
        except ObjectNotFound:
            raise InputNotFound(f"there is no object {location}") from None
        except TooManyBytes as error:
            raise DownloadFailed(str(error), retryable=False) from error
