"""What lists of jobs, and of the images of one, are asked for. None, or nothing: whatever it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.job import ImageStatus

written = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode  # as databases have it


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFilter:
    """ref, error, warning: these very ones, the latter two by code. name: how it begins."""

    status: ImageStatus | None = None
    ref: str | None = None
    name: str | None = None
    warning: str | None = None
    error: str | None = None


EVERY_IMAGE = ImageFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """model: one of a job's. created_after: then or later; created_before: earlier than then.

    metadata: names of the caller's own metadata, at its top, each with its value: a text as it is, a number, true,
    false or null as JSON has it.
    """

    status: str | None = None
    model: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    metadata: tuple[tuple[str, str], ...] = ()

    def fits(self, metadata: Mapping[str, Any]) -> bool:
        return all(name in metadata and written(metadata[name]) in texts_of(value) for name, value in self.metadata)

    def written_metadata(self) -> Sequence[Sequence[str]]:
        """For each name what has to stand somewhere in the JSON text of a job's metadata, one of these; a job that has
        it may still not fit."""
        return [[f"{written(name)}:{text}" for text in texts_of(value)] for name, value in self.metadata]


def texts_of(value: str) -> Sequence[str]:
    """How JSON may have it."""
    texts = [written(value)]
    try:
        read = json.loads(value)
        if read is None or isinstance(read, (bool, int, float)):
            texts.append(written(read))
    except (ValueError, RecursionError):  # a text alone
        pass
    return texts
