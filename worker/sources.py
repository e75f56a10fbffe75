"""Where a picture's bytes come from: the object store, the sample library, an address on the web."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jobs.job import Source, SourceKind
from jobs.keys import SAMPLE_MASK_SUFFIX
from jobs.ports import ObjectStore
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

    def read(self, source: Source) -> bytes:
        """Raises ObjectNotFound, SampleNotFound, DownloadFailed, StorageUnavailable."""
        match source.kind:
            case SourceKind.OBJECT:
                return self.objects.get(source.location)
            case SourceKind.SAMPLE if source.location.endswith(SAMPLE_MASK_SUFFIX):
                return self.samples.mask(source.location.removesuffix(SAMPLE_MASK_SUFFIX))
            case SourceKind.SAMPLE:
                return self.samples.picture(source.location)
            case SourceKind.URL:
                return fetch(source.location, self.rules)
