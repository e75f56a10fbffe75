"""What an archive holds of some neighbouring images, packed small: lines of its tables, names and places of files."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from jobs.job import ImageStatus, Job, JobImage
from jobs.reporting.names import stem_of
from jobs.reporting.reports import ErrorTable, MetricsTable
from segmentation.media_types import suffix_of

LEVEL = 1  # of zlib: it is read more often than it is worth to be smaller

File = tuple[str, str, int, int, str]  # kind, suffix, size in bytes, CRC-32, key


@dataclass(slots=True)
class Piece:
    """head: of the table of metrics that the lines belong to. files: index, name and files of each image, in order."""

    head: str
    metrics: str = ""
    errors: str = ""
    failed: bool = False
    devices: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    images: list[tuple[int, str, list[File]]] = field(default_factory=list)

    def packed(self) -> bytes:
        values = [getattr(self, name) for name in _FIELDS]
        return zlib.compress(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode(), LEVEL)

    @classmethod
    def unpacked(cls, content: bytes) -> Piece:
        values: list[Any] = json.loads(zlib.decompress(content))
        return cls(**dict(zip(_FIELDS, values, strict=True)))


_FIELDS = ("head", "metrics", "errors", "failed", "devices", "versions", "images")


def survey(job: Job, images: Iterable[JobImage]) -> Piece:
    """images: of the job, in input order."""
    table, errors = MetricsTable(job), ErrorTable()
    lines, faults, devices, versions = [], [], set(), set()
    piece = Piece(table.head().decode())
    for image in images:
        lines.append(table.line(image))
        faults.append(errors.line(image))
        piece.failed |= image.status is ImageStatus.FAILED
        files: list[File] = []
        if image.result is not None:
            devices.add(image.result.identity.device)
            versions.add(image.result.identity.version)
            files = [
                (each.name, suffix_of(each.media_type), each.size, each.crc32, each.key)
                for each in image.result.artifacts
            ]
        piece.images.append((image.index, stem_of(image, paths=job.skipped is not None), files))
    piece.metrics, piece.errors = b"".join(lines).decode(), b"".join(faults).decode()
    piece.devices, piece.versions = sorted(devices), sorted(versions)
    return piece
