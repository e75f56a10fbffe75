"""What of a submission has been announced and has arrived, on disk: after Ctrl-C the same submission goes on with it,
and another one finds the files there that they have in common.

One file per submission in the user's cache folder, a JSON object a line; a line that was cut is ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from maskmill.uploads.multipart import FilePart


def state_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "maskmill" / "uploads"


@dataclass(slots=True)
class Ledger:
    """key: the idempotency key of the submission. marks: by which each file is known again, by its place; uploads: ids
    by the file's place; stored: those that have arrived; taken_from: ledgers in which some of these were found."""

    path: Path
    key: str
    marks: Sequence[str] = ()
    uploads: dict[int, str] = field(default_factory=dict)
    stored: set[int] = field(default_factory=set)
    taken_from: set[Path] = field(default_factory=set)
    _file: IO[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def announce(self, ids: Mapping[int, str]) -> None:
        self.uploads.update(ids)
        self.stored.difference_update(ids)
        self._write({"uploads": {str(place): upload for place, upload in ids.items()}})

    def store(self, place: int) -> None:
        self.stored.add(place)
        self._write({"stored": place, "mark": self.marks[place], "upload": self.uploads[place]})

    def forget(self) -> None:
        """The submission is a job now, or what it names is gone."""
        self.close()
        for path in (self.path, *self.taken_from):
            path.unlink(missing_ok=True)

    def take_over(self) -> None:
        """What has arrived of these files for submissions that never became jobs."""
        places = {mark: place for place, mark in enumerate(self.marks)}
        for path in self.path.parent.glob("*.jsonl"):
            for line in _lines(path):
                place = places.get(line.get("mark", ""))
                if place is not None and place not in self.stored:
                    self.taken_from.add(path)
                    self.announce({place: line["upload"]})
                    self.store(place)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, line: Mapping[str, Any]) -> None:
        """A disk that takes nothing costs the way back, not the upload."""
        with self._lock, contextlib.suppress(OSError):
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a", encoding="utf-8")
                if not self._file.tell():
                    self._file.write(json.dumps({"key": self.key}) + "\n")
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def open_ledger(server: str, parts: Sequence[FilePart], options: Mapping[str, Any], *, key: str | None) -> Ledger:
    """Of the same files, as they are, for the same server with the same options; a new one knows what arrived of them
    with others. key: the caller's own; None: any."""
    digest = hashlib.sha256(json.dumps([server, options, key], sort_keys=True, default=str).encode())
    marks = []
    for part in parts:
        changed = part.path.stat().st_mtime_ns
        told = json.dumps([part.field, part.name, str(part.path.resolve()), part.size, changed]).encode()
        digest.update(told)
        marks.append(hashlib.sha256(server.encode() + told).hexdigest()[:32])
    path = state_folder() / f"{digest.hexdigest()[:32]}.jsonl"
    ledger = Ledger(path, key or uuid.uuid4().hex, marks)
    if not path.exists():
        ledger.take_over()
    for line in _lines(path):
        ledger.key = line.get("key", ledger.key)
        ledger.uploads.update({int(place): upload for place, upload in line.get("uploads", {}).items()})
        ledger.stored.difference_update(int(place) for place in line.get("uploads", {}))
        if "stored" in line:
            ledger.stored.add(line["stored"])
    return ledger


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                yield found
