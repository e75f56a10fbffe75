"""What goes into the archive of a finished job: entries in a fixed order, each of known size before a byte is read.

How they become a ZIP file is the API's business; what the documents say is in `reports.py`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple

from jobs.callers import DEFAULT, Caller
from jobs.errors import FieldFault, InvalidOptions, JobNotFinished, ModelNotFound
from jobs.job import Artifact, ImageStatus, Job, JobImage
from jobs.ports import ModelCatalog, ObjectStore, OpenUnit
from jobs.reporting.reports import ErrorTable, MetricsTable, Table, manifest, merged_document, metrics_document
from segmentation.formats import FORMATS, MergeableFormat
from segmentation.media_types import artifact_suffixes, suffix_of
from segmentation.model_card import ModelCard

METRICS = "metrics"
METRICS_CSV = "metrics.csv"
ERRORS_CSV = "errors.csv"
_PAGE = 500
_NAME_LENGTH = 120
_PLAIN_NAME = re.compile(r"([A-Za-z0-9_-](?:[A-Za-z0-9_. -]{0,118}[A-Za-z0-9_-])?)\.[A-Za-z0-9]{1,5}")


class Entry(NamedTuple):
    """One file of an archive; size in bytes. key: of a stored object; None for a document written on the fly."""

    name: str
    size: int
    crc32: int
    key: str | None = None


Document = Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The files of one job, laid out. The same job gives the same bytes each time."""

    job: Job
    entries: Sequence[Entry]
    documents: Mapping[str, Document]
    objects: ObjectStore

    def read(self, entry: Entry, start: int = 0) -> Iterator[bytes]:
        """The bytes of an entry from `start` on, in pieces. Raises ObjectNotFound, StorageUnavailable, JobNotFound."""
        if entry.key is not None:
            return self.objects.stream(entry.key, start=start)
        return _without_first(self.documents[entry.name](), start)


@dataclass(frozen=True, slots=True)
class Archives:
    """software: name and version, for the manifest."""

    open_unit: OpenUnit
    objects: ObjectStore
    catalog: ModelCatalog
    software: str
    caller: Caller = DEFAULT

    def open(self, job_id: str, artifacts: Sequence[str] | None = None) -> Archive:
        """Lay out the archive of a finished job. artifacts: kinds to take and `metrics`; None takes all there is.

        Raises JobNotFound, JobNotFinished, InvalidOptions.
        """
        with self.open_unit(self.caller.tenant) as unit:
            job = unit.jobs.get(job_id)
        if not job.is_finished:
            raise JobNotFinished(f"the job is {job.status}; its archive can be had when it has ended")
        wanted = _selection(job, artifacts)
        survey = self._survey(job, wanted)
        documents = self._documents(job, wanted, survey)
        written = [
            survey.measured[name].entry(name) if name in survey.measured else _measured(name, document)
            for name, document in documents.items()
        ]
        return Archive(job=job, entries=[*written, *survey.entries], documents=documents, objects=self.objects)

    def _survey(self, job: Job, wanted: frozenset[str]) -> _Survey:
        tables: dict[str, Table] = {ERRORS_CSV: ErrorTable()}
        if METRICS in wanted:
            tables[METRICS_CSV] = MetricsTable(job)
        survey = _Survey(wanted, tables, paths=job.skipped is not None)
        for image in self._images(job.id):
            survey.see(image)
        return survey

    def _documents(self, job: Job, wanted: frozenset[str], survey: _Survey) -> dict[str, Document]:
        provenance = manifest(
            job, self._card(job.model), devices=survey.devices, versions=survey.versions, software=self.software
        )
        documents: dict[str, Document] = {"manifest.json": lambda: iter([provenance])}
        if METRICS in wanted:
            documents[METRICS_CSV] = self._table(job, survey.tables[METRICS_CSV])
            documents["metrics.json"] = lambda: iter([metrics_document(job)])
        if survey.failed:
            documents[ERRORS_CSV] = self._table(job, survey.tables[ERRORS_CSV])
        for name, each in FORMATS.items():
            if name in wanted and isinstance(each, MergeableFormat):
                documents[each.merged] = partial(self._merged, each, job)
        return documents

    def _merged(self, artifact: MergeableFormat, job: Job) -> Iterator[bytes]:
        return merged_document(artifact, lambda: self._images(job.id), self.objects, job, software=self.software)

    def _table(self, job: Job, table: Table) -> Document:
        def rows() -> Iterator[bytes]:
            yield table.head()
            yield from map(table.line, self._images(job.id))

        return rows

    def _images(self, job_id: str) -> Iterator[JobImage]:
        """In input order. A transaction per page: a slow client holds no connection to the database."""
        after: str | None = None
        while True:
            with self.open_unit(self.caller.tenant) as unit:
                rows, after = unit.images.page(job_id, status=None, sort="index", limit=_PAGE, after=after)
            yield from rows
            if after is None:
                return

    def _card(self, model: str) -> ModelCard | None:
        try:
            return self.catalog.card(model)
        except ModelNotFound:
            return None  # taken away since


class _Names:
    """A name for each image that no other image of the job has, on systems that fold case too.

    paths: the images' names are relative paths, and their folders those of the archive. Those of an older job are not,
    whatever they hold: its archive stays as it was.
    """

    def __init__(self, *, paths: bool) -> None:
        self._taken: set[str] = set()
        self._paths = paths

    def of(self, image: JobImage) -> str:
        stem = safe_stem(image.name) or f"image_{image.index:06d}"
        if self._paths:
            stem = safe_folders(image.name) + stem
        name, tries = stem, 0
        while name.casefold() in self._taken:
            name = f"{stem}_{image.index:06d}" + (f"_{tries}" if tries else "")
            tries += 1
        self._taken.add(name.casefold())
        return name


class _Survey:
    """What one walk over the images tells: the stored files, and how long the tables will be."""

    def __init__(self, wanted: frozenset[str], tables: Mapping[str, Table], *, paths: bool) -> None:
        self.tables = tables
        self.measured = {name: _Measure() for name in tables}
        self.entries: list[Entry] = []
        self.devices: set[str] = set()
        self.versions: set[str] = set()
        self.failed = False
        self._wanted = wanted
        self._names = _Names(paths=paths)
        for name, table in tables.items():
            self.measured[name].add(table.head())

    def see(self, image: JobImage) -> None:
        self.failed |= image.status is ImageStatus.FAILED
        for table_name, table in self.tables.items():
            self.measured[table_name].add(table.line(image))
        name = self._names.of(image)
        if image.result is None:
            return
        self.devices.add(image.result.identity.device)
        self.versions.add(image.result.identity.version)
        self.entries.extend(
            Entry(_path(artifact, name), artifact.size, artifact.crc32, artifact.key)
            for artifact in image.result.artifacts
            if artifact.name in self._wanted
        )


@dataclass(slots=True)
class _Measure:
    """Size and CRC-32 of bytes that are not kept."""

    size: int = 0
    crc32: int = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        self.crc32 = zlib.crc32(piece, self.crc32)

    def entry(self, name: str) -> Entry:
        return Entry(name, self.size, self.crc32)


def safe_stem(name: str) -> str:
    """A file name without its suffix that means the same on every system: no path, no control or reserved letter."""
    plain = _PLAIN_NAME.fullmatch(name)
    if plain is not None:
        return plain[1]  # nearly every name, at a tenth of the cost
    return _safe(PurePosixPath(name.replace("\\", "/")).stem)


def _safe(part: str) -> str:
    kept = "".join(letter if letter.isprintable() and letter not in '<>:"/\\|?*' else "_" for letter in part)
    return kept.strip(" .")[:_NAME_LENGTH].rstrip(" .")


def safe_folders(path: str) -> str:
    """The folders of a path, each made to mean the same on every system; with a `/` at the end, empty for none.

    One that looks like a file of the archive gets another name: `a.png` may be an artifact beside it.
    """
    parts, of_files = [_safe(part) or "_" for part in path.split("/")[:-1]], artifact_suffixes()
    return "".join(f"{part}_/" if PurePosixPath(part).suffix.lower() in of_files else f"{part}/" for part in parts)


def _path(artifact: Artifact, name: str) -> str:
    return f"{artifact.name}/{name}{suffix_of(artifact.media_type)}"


def _selection(job: Job, artifacts: Sequence[str] | None) -> frozenset[str]:
    known = (*job.options.artifacts, METRICS)
    if artifacts is None:
        return frozenset(known)
    unknown = [name for name in artifacts if name not in known]
    if unknown or not artifacts:
        wrong = ", ".join(repr(name) for name in unknown) or "nothing"
        raise InvalidOptions([FieldFault("artifacts", f"must be some of {', '.join(known)}; got {wrong}")])
    return frozenset(artifacts)


def _measured(name: str, document: Document) -> Entry:
    measure = _Measure()
    for piece in document():
        measure.add(piece)
    return measure.entry(name)


def _without_first(pieces: Iterable[bytes], count: int) -> Iterator[bytes]:
    for piece in pieces:
        if count < len(piece):
            yield piece[count:] if count else piece
        count = max(0, count - len(piece))
