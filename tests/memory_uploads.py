"""Uploads of a database in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from jobs.errors import UploadNotFound
from jobs.job import JobImage, SourceKind
from jobs.uploads.upload import Known, Upload
from tests.memory_state import View


class MemoryUploads:
    def __init__(self, view: View) -> None:
        self._view = view
        self._rows = view.state.uploads

    def waiting_bytes(self, tenant: str) -> int:
        mine = [each for name, each in self._rows.items() if each.tenant == tenant and self._is_alive(name)]
        return sum(each.size for each in mine if not each.uses)

    def add(self, uploads: Sequence[Upload]) -> None:
        if any(self._view.tenant not in (None, each.tenant) for each in uploads):
            raise ValueError("another owner than announced")
        self._rows.update((each.id, each) for each in uploads)

    def get(self, upload_id: str) -> Upload:
        if upload_id not in self._rows:
            raise UploadNotFound("there is no such upload")
        return self._rows[upload_id]

    def several(self, upload_ids: Collection[str]) -> Mapping[str, Known]:
        return {name: each.known() for name, each in self._alive(upload_ids).items()}

    def mark_stored(self, upload_id: str) -> bool:
        if upload_id not in self._rows:
            return False
        self._rows[upload_id] = replace(self._rows[upload_id], stored=True)
        return True

    def use(self, upload_ids: Collection[str]) -> int:
        found = self._alive(upload_ids)
        for name, each in found.items():
            self._rows[name] = replace(each, uses=each.uses + 1, expires_at=None)
        return len(found)

    def expired(self, *, for_s: float, limit: int, after: str = "") -> Sequence[Upload]:
        before = self._view.now - timedelta(seconds=for_s)
        gone = [each for _, each in sorted(self._rows.items()) if each.expires_at is not None and each.id > after]
        return [each for each in gone if each.expires_at is not None and each.expires_at < before and not each.uses][
            :limit
        ]

    def remove(self, upload_id: str) -> None:
        if upload_id in self._rows and not self._rows[upload_id].uses:
            del self._rows[upload_id]

    def release(self, images: Iterable[JobImage]) -> None:
        sources = {place for image in images for place in (image.source, image.mask) if place is not None}
        for name in {each.location[-30:] for each in sources if each.kind is SourceKind.UPLOAD} & self._rows.keys():
            left = self._rows[name].uses - 1
            self._rows[name] = replace(self._rows[name], uses=left, expires_at=None if left else self._view.now)

    def _alive(self, upload_ids: Collection[str]) -> Mapping[str, Upload]:
        return {name: self._rows[name] for name in set(upload_ids) & self._rows.keys() if self._is_alive(name)}

    def _is_alive(self, name: str) -> bool:
        until = self._rows[name].expires_at
        return until is None or until > self._view.now
