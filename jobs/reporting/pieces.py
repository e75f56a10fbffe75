"""What an archive holds of some neighbouring images, packed small: lines of its tables, names and places of files."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.comparing.table import ComparisonTable
from jobs.job import ImageStatus, Job, JobImage, ModelIdentity
from jobs.reporting.names import model_folders, stem_of
from jobs.reporting.reports import ErrorTable, MetricsTable
from segmentation.media_types import suffix_of

LEVEL = 1  # of zlib: it is read more often than it is worth to be smaller

File = tuple[str, str, int, int, str]  # kind, suffix, size in bytes, CRC-32, key


@dataclass(slots=True)
class Piece:
    """head: of the table of metrics that the lines belong to. images: index, name and files of each, in order.
    compared: lines of the comparison of several models."""

    head: str
    metrics: str = ""
    errors: str = ""
    failed: bool = False
    devices: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    images: list[tuple[int, str, list[File]]] = field(default_factory=list)
    compared: str = ""

    def packed(self) -> bytes:
        values = [getattr(self, name) for name in _FIELDS]
        return zlib.compress(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode(), LEVEL)

    @classmethod
    def unpacked(cls, content: bytes) -> Piece:
        """Also one that was kept when there were fewer fields."""
        values: list[Any] = json.loads(zlib.decompress(content))
        return cls(**dict(zip(_FIELDS, values, strict=False)))


_FIELDS = ("head", "metrics", "errors", "failed", "devices", "versions", "images", "compared")


def survey(job: Job, images: Iterable[JobImage]) -> Piece:
    """images: of the job, in input order."""
    table, errors = MetricsTable(job), ErrorTable()
    comparison, folders = ComparisonTable(job), model_folders(job.models)
    lines, faults, compared = [], [], []
    identities: set[ModelIdentity] = set()
    piece = Piece(table.head().decode())
    for image in images:
        lines.append(table.line(image))
        faults.append(errors.line(image))
        compared.append(comparison.line(image))
        piece.failed |= image.status is ImageStatus.FAILED
        stem = stem_of(image, paths=job.skipped is not None)
        piece.images.append((image.index, stem, list(_files(image, folders))))
        identities.update(each.identity for each in image.results)
    piece.metrics, piece.errors = b"".join(lines).decode(), b"".join(faults).decode()
    piece.compared = b"".join(compared).decode()
    piece.devices = sorted({each.device for each in identities})
    piece.versions = sorted({each.version for each in identities})
    return piece


def _files(image: JobImage, folders: Sequence[str]) -> Iterator[File]:
    """folders: of each model."""
    shared = () if image.comparison is None else image.comparison.artifacts
    own = [(folder, each) for folder, result in zip(folders, image.results, strict=False) for each in result.artifacts]
    for folder, each in (*own, *(("", each) for each in shared)):
        yield each.name + folder, suffix_of(each.media_type), each.size, each.crc32, each.key
