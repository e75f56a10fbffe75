"""What uploads need from the database and from the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from jobs.uploads.upload import Known, Upload


@dataclass(frozen=True, slots=True)
class SignedPut:
    """An address that takes one object of a certain size and type. headers: have to be sent as they are."""

    url: str
    headers: Mapping[str, str]


class UploadRepository(Protocol):
    """Rows of uploads."""

    def waiting_bytes(self, tenant: str) -> int:
        """Announced sizes of the tenant's uploads that no job needs and that have not expired. Nobody else announces
        for the tenant until the end of the transaction."""

    def add(self, uploads: Sequence[Upload]) -> None: ...

    def get(self, upload_id: str) -> Upload:
        """Also one that has expired. Raises UploadNotFound."""

    def several(self, upload_ids: Collection[str]) -> Mapping[str, Known]:
        """Those of these that there are, by id, expired ones left out. A hundred thousand at once are fine."""

    def mark_stored(self, upload_id: str) -> bool:
        """All of its bytes have arrived. False when it is gone."""

    def use(self, upload_ids: Collection[str]) -> int:
        """One more job needs each of these: they stay until it is gone. Returns how many there are; expired ones are
        left out. The job's images name them, and with the job's rows (`JobRepository.purge`) the use ends."""

    def expired(self, *, for_s: float, limit: int, after: str = "") -> Sequence[Upload]:
        """Expired for so long and needed by no job, by id, those behind the id `after`."""

    def remove(self, upload_id: str) -> None:
        """The row of one that no job needs; nothing happens to another, or when it is gone."""
