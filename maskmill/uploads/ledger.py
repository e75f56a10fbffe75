"""What of a submission has been announced and has arrived, on disk: after Ctrl-C the same submission goes on with it.

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

from maskmill.multipart import FilePart


def state_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "maskmill" / "uploads"


@dataclass(slots=True)
class Ledger:
    """key: the idempotency key of the submission. uploads: ids by the file's place; stored: those that have arrived."""

    path: Path
    key: str
    uploads: dict[int, str] = field(default_factory=dict)
    stored: set[int] = field(default_factory=set)
    _file: IO[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def announce(self, ids: Mapping[int, str]) -> None:
        self.uploads.update(ids)
        self.stored.difference_update(ids)
        self._write({"uploads": {str(place): upload for place, upload in ids.items()}})

    def store(self, place: int) -> None:
        self.stored.add(place)
        self._write({"stored": place})

    def forget(self) -> None:
        """The submission is a job now."""
        self.close()
        self.path.unlink(missing_ok=True)

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
    """Of the same files, as they are, for the same server with the same options. key: the caller's own; None: any."""
    digest = hashlib.sha256(json.dumps([server, options, key], sort_keys=True, default=str).encode())
    for part in parts:
        changed = part.path.stat().st_mtime_ns
        digest.update(json.dumps([part.field, part.name, str(part.path.resolve()), part.size, changed]).encode())
    path = state_folder() / f"{digest.hexdigest()[:32]}.jsonl"
    ledger = Ledger(path, key or uuid.uuid4().hex)
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
