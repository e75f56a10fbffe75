"""One file that a client announced: whose it is, what it must be, how far it is, and who uses it."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from jobs.job import Source, SourceKind
from jobs.keys import ULID

UPLOAD_ID = re.compile(f"upl_{ULID}")
ID_LENGTH = 30
RESUMABLE_BYTES = 64 * 2**20  # what is larger goes through the service, which can go on where it broke off


class UploadKind(StrEnum):
    IMAGE = "image"  # a picture, or a mask
    ARCHIVE = "archive"  # of pictures, packed; or a film
    MANIFEST = "manifest"  # JSON lines that name inputs


class UploadState(StrEnum):
    OPEN = "open"  # announced; its bytes are not known to have arrived
    STORED = "stored"  # all of it has arrived
    USED = "used"  # a job needs it, and it stays as long as one does
    EXPIRED = "expired"  # nobody used it in time; it is about to be removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """secret: signs the address of this service that takes it; None: its bytes go straight to the store, unseen.

    uses: jobs that need it. expires_at: None while there is one.
    """

    id: str
    tenant: str
    name: str
    size: int
    media_type: str
    kind: UploadKind
    created_at: datetime
    expires_at: datetime | None
    secret: str | None = None
    stored: bool = False
    uses: int = 0

    @property
    def key(self) -> str:
        return upload_key(self.tenant, self.id, self.size)

    def state(self, now: datetime) -> UploadState:
        if self.uses:
            return UploadState.USED
        if self.expires_at is not None and self.expires_at <= now:
            return UploadState.EXPIRED
        return UploadState.STORED if self.stored else UploadState.OPEN

    def known(self) -> Known:
        return Known(self.key, self.name, self.kind, has_arrived(stored=self.stored, secret=self.secret))

    def going_direct(self) -> Upload:
        return replace(self, secret=None)

    def signature(self, expires: int) -> str:
        """Of an address that takes this file and no other until `expires` (seconds since 1970)."""
        if self.secret is None:
            raise ValueError("an upload that goes straight to the store has no address here")
        said = f"PUT\n{self.id}\n{self.size}\n{self.media_type}\n{expires}"
        return hmac.new(self.secret.encode(), said.encode(), hashlib.sha256).hexdigest()


class Known(NamedTuple):
    """What a job has to know of an upload; a hundred thousand of them are read at once.

    arrived: None for one that goes straight to the store, of which only the store can tell.
    """

    key: str
    name: str
    kind: UploadKind
    arrived: bool | None

    @property
    def source(self) -> Source:
        return Source(SourceKind.UPLOAD, self.key)


def has_arrived(*, stored: bool, secret: str | None) -> bool | None:
    """None where only the store can tell: of one that goes straight there, and has no secret of ours."""
    if stored:
        return True
    return None if secret is None else False


def upload_key(tenant: str, upload_id: str, size: int) -> str:
    """Ends with the id. Holds the size, so that whoever reads the object knows how much of it there must be."""
    return f"{tenant}/uploads/{size}/{upload_id}"


def id_in(key: str) -> str:
    return key[-ID_LENGTH:]


def size_in(key: str) -> int:
    """Of an upload's key."""
    return int(key.split("/")[-2])
