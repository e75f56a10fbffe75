"""What goes into the archive of a finished job: entries in a fixed order, each of known size before a byte is read.

How they become a ZIP file is the API's business; what the documents say is in `reports.py`. It is laid out from pieces
of some hundred images, most of which were kept when their images ended: a large archive begins as soon as a small one.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import NamedTuple

from jobs.callers import DEFAULT, Caller
from jobs.comparing.comparing import Comparing
from jobs.comparing.document import comparison_document
from jobs.comparing.page import COMPARISON_HTML, SHOWN, JobPage
from jobs.comparing.table import COMPARISON_CSV, ComparisonTable
from jobs.corrections.correction import CorrectionFile
from jobs.errors import FieldFault, InvalidOptions, JobNotFinished, ModelNotFound, ObjectNotFound
from jobs.inputs.inputs import Inputs
from jobs.job import Artifact, Job, JobImage
from jobs.keys import DISAGREEMENT
from jobs.ports import ModelCatalog, ObjectStore, OpenUnit
from jobs.reporting.kept_parts import PART
from jobs.reporting.names import Names, model_folders
from jobs.reporting.pieces import File, Piece, survey
from jobs.reporting.read import images_in_order, newest_corrections
from jobs.reporting.reports import (
    ErrorTable,
    MetricsTable,
    csv_line,
    label_space_document,
    manifest,
    merged_document,
    metrics_document,
)
from segmentation.errors import UnreadableArtifact
from segmentation.formats import FORMATS, MergeableFormat
from segmentation.model_card import ModelCard

METRICS = "metrics"
COMPARISON = "comparison"
CORRECTED = "corrected"  # the newest correction of each image that has one
LABEL_SPACE = "label_space.json"  # of classes that are the user's own; what is published, everybody has
METRICS_CSV = "metrics.csv"
ERRORS_CSV = "errors.csv"
FILES_MISSING = "files_missing.csv"  # what the store has lost, where it is left out: of each file why
MISSING_HEAD = csv_line(["file", "message"])
LOOKS_AT_ONCE = 16  # a store that is reached by network answers each after a while


class Entry(NamedTuple):
    """One file of an archive; size in bytes. key: of a stored object; None for a document written on the fly."""

    name: str
    size: int
    crc32: int
    key: str | None = None


Document = Callable[[], Iterator[bytes]]
Lost = Mapping[str, tuple[Entry, str]]  # by key: what it was to be, and what is wrong


class Entries:
    """The documents and then the stored files, made anew by each walk: a hundred thousand of them take no memory."""

    def __init__(
        self,
        written: Sequence[Entry],
        pieces: Sequence[bytes],
        wanted: frozenset[str],
        stored: _Stored,
        corrected: Mapping[int, CorrectionFile],
        lost: Lost,
    ) -> None:
        """stored: what the pieces' files come to that are wanted, and the corrections; lost: left out of them."""
        self.written = written
        self.wanted = wanted
        self._pieces = pieces
        self._lost = lost
        left_out = [entry for entry, _ in lost.values()]
        self._count = len(written) + stored.files - len(left_out)
        self.sums = (  # bytes of all names in UTF-8, and of all contents: who needs no more need not walk
            stored.names + _names(written) - _names(left_out),
            stored.contents + sum(each.size for each in written) - sum(each.size for each in left_out),
        )
        self.corrected = corrected

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Entry]:
        yield from self.written
        names, wanted = Names(), self.wanted
        for content in self._pieces:
            for index, stem, files in Piece.unpacked(content).images:
                name = names.of(index, stem)
                for folder, suffix, size, crc32, key in files:
                    if kind_of(folder) in wanted and key not in self._lost:
                        yield Entry(f"{folder}/{name}{suffix}", size, crc32, key)
                own = self.corrected.get(index)
                if own is not None and own.key not in self._lost:
                    yield Entry(f"{CORRECTED}/{name}.png", own.size, own.crc32, own.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The files of one job, laid out. The same job gives the same bytes each time."""

    job: Job
    entries: Entries
    documents: Mapping[str, Document]
    objects: ObjectStore

    @property
    def fingerprint(self) -> str:
        """Another one when a byte is another: images that succeeded never change, and a retry changes the version."""
        kinds = sorted(self.entries.wanted)
        told = (self.job.id, self.job.version, len(self.entries), kinds, [tuple(each) for each in self.entries.written])
        drawn = "".join(each.sha256 for each in self.entries.corrected.values())
        return hashlib.sha256((repr(told) + drawn).encode()).hexdigest()[:32]

    def read(self, entry: Entry, start: int = 0) -> Iterator[bytes]:
        """The bytes of an entry from `start` on, in pieces. Raises ObjectNotFound, StorageUnavailable, JobNotFound."""
        if entry.key is not None:
            return self.objects.stream(entry.key, start=start)
        return _without_first(self.documents[entry.name](), start)


@dataclass(frozen=True, slots=True)
class Archives:
    """software: name and version, for the manifest."""

    open_unit: OpenUnit
    inputs: Inputs
    catalog: ModelCatalog
    software: str
    caller: Caller = DEFAULT

    def open(self, job_id: str, artifacts: Sequence[str] | None = None, *, without_lost: bool = False) -> Archive:
        """Lay out the archive of a finished job. artifacts: kinds to take, `metrics`, `corrected`; None takes all.
        without_lost: the store is asked for every file, and what it has lost is left out and told in FILES_MISSING.

        Raises JobNotFound, JobNotFinished, InvalidOptions; of documents that are made of files ObjectNotFound.
        """
        with self.open_unit(self.caller.tenant) as unit:
            job = unit.jobs.get(job_id)
        if not job.is_finished:
            raise JobNotFinished(f"the job is {job.status}; its archive can be had when it has ended")
        wanted = _selection(job, artifacts)
        corrected = newest_corrections(self.open_unit, self.caller.tenant, job) if CORRECTED in wanted else {}
        pieces, seen = [], _Seen(job, wanted, corrected)
        for content, piece in self._pieces(job):
            seen.see(piece)
            pieces.append(content)
        entries = Entries((), pieces, wanted, seen.stored, corrected, {})
        lost = _lost(entries, self.inputs.objects) if without_lost else {}
        documents = self._documents(job, wanted, seen, pieces, lost)
        try:
            written = [
                seen.tables[name].entry(name) if name in seen.tables else _measured(name, document)
                for name, document in documents.items()
            ]
        except (ObjectNotFound, UnreadableArtifact) as error:
            hint = "" if without_lost else "; `without_lost=true` leaves out what is lost"
            raise ObjectNotFound(f"{error}{hint}") from error
        entries = Entries(written, pieces, wanted, seen.stored, corrected, lost)
        return Archive(job=job, entries=entries, documents=documents, objects=self.inputs.objects)

    def _pieces(self, job: Job) -> Iterator[tuple[bytes, Piece]]:
        """In input order: those that were kept, and the others surveyed now."""
        with self.open_unit(self.caller.tenant) as unit:
            kept = unit.parts.of(job.id)
        head = MetricsTable(job).head().decode()
        for first in range(0, job.counts.total, PART):
            content = kept.get(first)
            piece = None if content is None else Piece.unpacked(content)
            if content is None or piece is None or not _fits(piece, job, head, first):
                piece = survey(job, self._run(job.id, first))
                content = piece.packed()
            yield content, piece

    def _documents(
        self, job: Job, wanted: frozenset[str], seen: _Seen, pieces: Sequence[bytes], lost: Lost
    ) -> dict[str, Document]:
        cards = [self._card(each) for each in job.models]
        provenance = manifest(job, cards, devices=seen.devices, versions=seen.versions, software=self.software)
        documents: dict[str, Document] = {"manifest.json": lambda: iter([provenance])}
        if job.spaces.archived:
            documents[LABEL_SPACE] = lambda: iter([label_space_document(job)])
        if METRICS in wanted:
            documents[METRICS_CSV] = partial(_table, MetricsTable(job).head(), pieces, lambda piece: piece.metrics)
            documents["metrics.json"] = lambda: iter([metrics_document(job)])
        if seen.failed:
            documents[ERRORS_CSV] = partial(_table, ErrorTable().head(), pieces, lambda piece: piece.errors)
        if COMPARISON in wanted:
            table = ComparisonTable(job).head()
            documents[COMPARISON_CSV] = partial(_table, table, pieces, lambda piece: piece.compared)
            page = self._page(job, lost)
            documents[COMPARISON_HTML] = lambda: iter([page])
        if lost:
            documents[FILES_MISSING] = lambda: _told(lost)
        return {**documents, **self._merged_documents(job, wanted, lost)}

    def _page(self, job: Job, lost: Lost) -> bytes:
        """Made at once: its length has to be known."""
        comparing = Comparing(self.open_unit, self.caller)
        _, images = comparing.contested(job.id, SHOWN)
        told = comparison_document(job, images, comparing.drawn(job))
        return JobPage(self.inputs, job).render(told, [_without(image, lost) for image in images])

    def _merged_documents(self, job: Job, wanted: frozenset[str], lost: Lost) -> dict[str, Document]:
        """One of each format that has such, of each model."""
        documents: dict[str, Document] = {}
        for name, each in FORMATS.items():
            if name in wanted and isinstance(each, MergeableFormat):
                for model, folder in enumerate(model_folders(job.models)):
                    documents[each.merged.replace(".", f"{folder.replace('/', '-')}.", 1)] = partial(
                        self._merged, each, job, model, lost
                    )
        return documents

    def _merged(self, artifact: MergeableFormat, job: Job, model: int, lost: Lost) -> Iterator[bytes]:
        def images() -> Iterator[JobImage]:
            return (_without(image, lost) for image in images_in_order(self.open_unit, self.caller.tenant, job))

        return merged_document(artifact, images, self.inputs.objects, job, software=self.software, model=model)

    def _run(self, job_id: str, first: int) -> Sequence[JobImage]:
        with self.open_unit(self.caller.tenant) as unit:
            return unit.images.run(job_id, first=first, last=first + PART - 1)

    def _card(self, model: str) -> ModelCard | None:
        try:
            return self.catalog.card(model)
        except ModelNotFound:
            return None  # taken away since


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


@dataclass(slots=True)
class _Stored:
    """Of stored files: how many, bytes of their names and of their contents."""

    files: int = 0
    names: int = 0
    contents: int = 0

    def add(self, name: int, size: int) -> None:
        self.files += 1
        self.names += name
        self.contents += size


class _Seen:
    """What one walk over the pieces tells."""

    def __init__(self, job: Job, wanted: frozenset[str], corrected: Mapping[int, CorrectionFile]) -> None:
        heads = {METRICS_CSV: MetricsTable(job).head(), ERRORS_CSV: ErrorTable().head()}
        heads[COMPARISON_CSV] = ComparisonTable(job).head()
        self.tables = {name: _Measure(len(head), zlib.crc32(head)) for name, head in heads.items()}
        self.devices: set[str] = set()
        self.versions: set[str] = set()
        self.failed = False
        self.stored = _Stored()
        self._names = Names()
        self._wanted = wanted
        self._corrected = corrected

    def see(self, piece: Piece) -> None:
        self.devices.update(piece.devices)
        self.versions.update(piece.versions)
        self.failed |= piece.failed
        self.tables[METRICS_CSV].add(piece.metrics.encode())
        self.tables[ERRORS_CSV].add(piece.errors.encode())
        self.tables[COMPARISON_CSV].add(piece.compared.encode())
        for index, stem, files in piece.images:
            self._count(index, len(self._names.of(index, stem).encode()), files)

    def _count(self, index: int, name: int, files: Sequence[File]) -> None:
        """As `Entries` names them. name: bytes of the image's own."""
        for folder, suffix, size, _, _ in files:
            if kind_of(folder) in self._wanted:
                self.stored.add(len(folder.encode()) + 1 + name + len(suffix), size)
        if (own := self._corrected.get(index)) is not None:
            self.stored.add(len(f"{CORRECTED}/.png") + name, own.size)


def _names(entries: Iterable[Entry]) -> int:
    """Bytes of them all."""
    return sum(len(each.name.encode()) for each in entries)


def _lost(entries: Iterable[Entry], objects: ObjectStore) -> Lost:
    """Those that are not in the store, or of another size there. Raises StorageUnavailable."""
    lost, left = {}, iter(entries)
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as threads:
        while lot := list(islice(left, PART)):
            looked = threads.map(lambda each: what_is_wrong(objects, each.key or "", each.size), lot)
            for entry, wrong in zip(lot, looked, strict=True):
                if wrong:
                    lost[entry.key or ""] = entry, wrong
    return lost


def what_is_wrong(objects: ObjectStore, key: str, size: int) -> str:
    """With what was stored in so many bytes; empty where nothing is."""
    try:
        there = objects.info(key).size
    except ObjectNotFound:
        return "the store has it no longer"
    return "" if there == size else f"the store has {there} bytes of it instead of {size}"


def _told(lost: Lost) -> Iterator[bytes]:
    yield MISSING_HEAD
    for entry, wrong in lost.values():
        yield csv_line([entry.name, wrong])


def _without(image: JobImage, lost: Lost) -> JobImage:
    """As if what is lost had never been asked for."""
    if not lost:
        return image
    results = [replace(each, artifacts=_left(each.artifacts, lost)) for each in image.results]
    compared = image.comparison
    if compared is not None:
        compared = replace(compared, artifacts=_left(compared.artifacts, lost))
    return replace(image, results=tuple(results), comparison=compared)


def _left(artifacts: Iterable[Artifact], lost: Lost) -> tuple[Artifact, ...]:
    return tuple(each for each in artifacts if each.key not in lost)


def _fits(piece: Piece, job: Job, head: str, first: int) -> bool:
    """Not when it was kept before the first truth was seen, or by code with parts of another size."""
    return piece.head == head and len(piece.images) == min(PART, job.counts.total - first)


def kind_of(folder: str) -> str:
    """Of the files in it; each of several models has a folder in that of the kind."""
    return folder.partition("/")[0]


def _table(head: bytes, pieces: Iterable[bytes], lines: Callable[[Piece], str]) -> Iterator[bytes]:
    yield head
    for content in pieces:
        if told := lines(Piece.unpacked(content)):
            yield told.encode()


def _selection(job: Job, artifacts: Sequence[str] | None) -> frozenset[str]:
    several = (DISAGREEMENT, COMPARISON) if len(job.models) > 1 else ()
    known = (*job.options.artifacts, METRICS, CORRECTED, *several)
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
