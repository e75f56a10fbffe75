"""Bringing files before the job that uses them: announcing them, sending them, looking how far they are."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from jobs.callers import DEFAULT, Caller
from jobs.errors import (
    FieldFault,
    InvalidOptions,
    QuotaExceeded,
    TooManyBytes,
    UploadConflict,
    UploadNotFound,
)
from jobs.keys import new_upload_id
from jobs.ports import ObjectStore, OpenUnit, Readable, UnitOfWork
from jobs.tenants.standing import Standing
from jobs.uploads.announcing import Announced, UploadLimits, fault_of
from jobs.uploads.ports import SignedPut
from jobs.uploads.upload import Upload, UploadState

WAITING_BYTES = "waiting-bytes"
_NAMED_FAULTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An upload and where its bytes go: to the store at `direct`, or to this service when that is None.

    received: bytes that have arrived.
    """

    upload: Upload
    state: UploadState
    received: int = 0
    direct: SignedPut | None = None


@dataclass(frozen=True, slots=True)
class Uploading:
    open_unit: OpenUnit
    objects: ObjectStore
    limits: UploadLimits
    caller: Caller = DEFAULT

    def begin(self, files: Sequence[Announced]) -> Sequence[Ticket]:
        """In the order of the files; an empty one is stored at once. Raises InvalidOptions, which names the first that
        may not come, QuotaExceeded when too much waits already, TooManyBytes for more than may ever wait, and
        StorageUnavailable."""
        self._check(files)
        with self.open_unit(self.caller.tenant) as unit:
            self._admit(unit, sum(each.size for each in files))
            expires_at = unit.now + timedelta(seconds=self.limits.expires_s)
            made = [
                Upload(
                    id=new_upload_id(),
                    tenant=self.caller.tenant,
                    name=each.name,
                    size=each.size,
                    media_type=each.media_type,
                    kind=kind,
                    created_at=unit.now,
                    expires_at=expires_at,
                    secret=secrets.token_hex(32),
                    stored=not each.size,
                )
                for each in files
                if (kind := each.kind) is not None
            ]
            tickets = [self._ticket(each, float(self.limits.expires_s)) for each in made]
            unit.uploads.add([each.upload for each in tickets])
            unit.commit()
        for each in made:
            if each.stored:
                self.objects.put(each.key, b"", media_type=each.media_type)
        return tickets

    def look(self, upload_id: str) -> Ticket:
        """How far it is, with an address for the rest. Raises UploadNotFound, also for one that has expired."""
        with self.open_unit(self.caller.tenant) as unit:
            upload, now = unit.uploads.get(upload_id), unit.now
        state = upload.state(now)
        if state is UploadState.EXPIRED:
            raise UploadNotFound("there is no such upload; it has expired")
        received = upload.size if upload.stored else self.objects.received(upload.key, size=upload.size)
        if received == upload.size and state is UploadState.OPEN:
            state = UploadState.STORED
            self._mark_stored(upload)
        direct = None
        if state is UploadState.OPEN and upload.secret is None and upload.expires_at is not None:
            direct = self._signed(upload, (upload.expires_at - now).total_seconds())
        return Ticket(upload=upload, state=state, received=received, direct=direct)

    def _mark_stored(self, upload: Upload) -> None:
        """What came here, by a process that ended before it wrote that down: else no job could use it."""
        if upload.secret is None:
            return  # of what goes straight to the store, only the store can tell
        with self.open_unit(upload.tenant) as unit:
            unit.uploads.mark_stored(upload.id)
            unit.commit()

    def _check(self, files: Sequence[Announced]) -> None:
        if not 0 < len(files) <= self.limits.files:
            raise InvalidOptions([FieldFault("files", f"must be 1 to {self.limits.files} files, got {len(files)}")])
        faults = (fault_of(each, self.limits, at=f"files.{index}") for index, each in enumerate(files))
        found = [fault for fault in faults if fault is not None]
        if found:
            raise InvalidOptions(found[:_NAMED_FAULTS])

    def _admit(self, unit: UnitOfWork, size: int) -> None:
        used, limit = unit.uploads.waiting_bytes(self.caller.tenant), self.limits.waiting_bytes
        if size > limit:
            raise TooManyBytes(f"uploads that no job uses yet may have {limit} bytes, and {size} come: announce fewer")
        if used + size > limit:
            said = f"uploads that no job uses yet may have {limit} bytes; there are {used}, and {size} more come"
            raise QuotaExceeded(said, Standing(name=WAITING_BYTES, limit=limit, used=used))

    def _ticket(self, upload: Upload, expires_s: float) -> Ticket:
        """The secret is kept where it is needed: what goes straight to the store has no address here."""
        if upload.stored:
            return Ticket(upload=upload, state=UploadState.STORED)
        direct = self._signed(upload, expires_s)
        if direct is None:
            return Ticket(upload=upload, state=UploadState.OPEN)
        return Ticket(upload=upload.going_direct(), state=UploadState.OPEN, direct=direct)

    def _signed(self, upload: Upload, expires_s: float) -> SignedPut | None:
        return self.objects.presigned_put(
            upload.key, size=upload.size, media_type=upload.media_type, expires_s=int(expires_s)
        )


@dataclass(frozen=True, slots=True)
class Receiving:
    """Takes the bytes of uploads. Whoever has the signed address may send; it needs no key beside it."""

    open_unit: OpenUnit
    objects: ObjectStore

    def find(self, upload_id: str, *, expires: int, signature: str) -> Upload:
        """Raises UploadNotFound when the address is not one of ours, or good no more. Which of both it does not tell:
        whoever has no good address learns nothing of what others upload."""
        unknown = UploadNotFound("there is no such upload, or its address is good no more")
        with self.open_unit() as unit:
            try:
                upload, now = unit.uploads.get(upload_id), unit.now
            except UploadNotFound:
                raise unknown from None
        if upload.secret is None or expires <= now.timestamp():
            raise unknown
        if not hmac.compare_digest(upload.signature(expires).encode(), signature.encode("utf-8", "replace")):
            raise unknown
        return upload

    def received(self, upload: Upload) -> int:
        """Bytes that have arrived."""
        if upload.stored:
            return upload.size
        received = self.objects.received(upload.key, size=upload.size)
        if received == upload.size:  # whoever sent the last of them was never told
            self._mark_stored(upload)
        return received

    def receive(self, upload: Upload, data: Readable, *, offset: int) -> int:
        """data: its bytes from `offset` on. Returns how many have arrived then.

        Raises UploadConflict, TooManyBytes, StorageUnavailable, and what `data` raises; what came before is kept.
        """
        if upload.stored:
            if not upload.size:
                return 0  # as it was announced
            raise UploadConflict("this file has arrived already")
        try:
            there = self.objects.append(upload.key, data, offset=offset, size=upload.size, media_type=upload.media_type)
        except UploadConflict:
            self.received(upload)  # which may be all: of one who was faster, or who could not write it down
            raise
        if there == upload.size:
            self._mark_stored(upload)
        return there

    def _mark_stored(self, upload: Upload) -> None:
        with self.open_unit(upload.tenant) as unit:
            there = unit.uploads.mark_stored(upload.id)
            unit.commit()
        if not there:  # it expired while it came
            self.objects.delete(upload.key)
            raise UploadNotFound("the upload has expired")
