"""Where a picture's bytes come from: wherever they are kept, or an address on the web."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import DownloadFailed, StorageUnavailable
from jobs.inputs.kept import KeptSources, is_kept
from jobs.job import Source, SourceKind
from jobs.uploads.upload import size_in
from segmentation.picture_files.file_data import FileData, collected
from worker.web.downloads import FetchRules, fetch


@dataclass(frozen=True, slots=True)
class WorkerSources:
    """Implements `jobs.processing.picture_ports.Sources`. spool: where large files lie; None: the system's place."""

    kept: KeptSources
    rules: FetchRules
    spool: Path | None = None

    def read(self, source: Source, *, tenant: str, check: Callable[[], None] = lambda: None) -> FileData:
        """Raises ObjectNotFound, InputNotFound, SampleNotFound, DownloadFailed, StorageUnavailable."""
        try:
            pieces = self.kept.pieces(source, tenant=tenant) if is_kept(source) else fetch(source.location, self.rules)
            data = collected(_checked(pieces, check), self.spool)
        except OSError as error:
            raise StorageUnavailable(f"the worker's disk does not take the input: {error.strerror}") from error
        if source.kind is SourceKind.UPLOAD and len(data) != size_in(source.location):
            said = f"the upload has {len(data)} bytes, not {size_in(source.location)} as announced"
            raise DownloadFailed(said, retryable=False)
        return data


def _checked(pieces: Iterable[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        check()
