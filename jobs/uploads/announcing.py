"""What a client says of files before it sends them: what each is, and whether it may come."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jobs.errors import FieldFault
from jobs.submitting.names import relative_path, shortened
from jobs.submitting.packed import is_packed_name
from jobs.submitting.reading import is_picture_name
from jobs.uploads.upload import UploadKind
from segmentation.picture_files.film import is_film_name

LONGEST_MEDIA_TYPE = 100
UNKNOWN = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*")
_ARCHIVE_TYPES = frozenset(
    f"application/{name}"
    for name in ("zip", "x-zip-compressed", "x-tar", "tar", "gzip", "x-gzip", "x-gtar", "x-compressed-tar", "x-tgz")
)
_MANIFEST_TYPES = frozenset(
    f"application/{name}" for name in ("x-ndjson", "ndjson", "jsonl", "x-jsonl", "jsonlines", "x-jsonlines")
)
_MANIFEST_SUFFIXES = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """size in bytes. media_type without parameters, in lower case."""

    name: str
    size: int
    media_type: str = UNKNOWN

    @property
    def kind(self) -> UploadKind | None:
        """By its type, and by its name where the type says nothing. None for what no job could use."""
        if self.media_type.startswith("image/"):
            return UploadKind.IMAGE
        if self.media_type in _ARCHIVE_TYPES or self.media_type.startswith("video/"):
            return UploadKind.ARCHIVE
        if self.media_type in _MANIFEST_TYPES:
            return UploadKind.MANIFEST
        return _kind_of_name(self.name) if self.media_type == UNKNOWN else None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """Bytes that a file may have, by what it is. files: of one announcement. expires_s: from there on.

    waiting_bytes: of a tenant's files that no job needs yet, all together.
    """

    image_bytes: int = 64 * 2**20
    archive_bytes: int = 8 * 2**30
    manifest_bytes: int = 64 * 2**20
    files: int = 10_000
    expires_s: int = 24 * 3600
    waiting_bytes: int = 256 * 2**30

    def of(self, kind: UploadKind) -> int:
        by_kind: Mapping[UploadKind, int] = {
            UploadKind.IMAGE: self.image_bytes,
            UploadKind.ARCHIVE: self.archive_bytes,
            UploadKind.MANIFEST: self.manifest_bytes,
        }
        return by_kind[kind]


def announced(name: str, size: int, content_type: str | None) -> Announced:
    """As a client said it, made plain: the name a relative path, the type without parameters."""
    given = (content_type or "").partition(";")[0].strip().lower()
    return Announced(name=shortened(relative_path(name)), size=size, media_type=given or UNKNOWN)


def fault_of(file: Announced, limits: UploadLimits, *, at: str) -> FieldFault | None:
    """What keeps a file from being taken. at: where in the request it stands."""
    if not _MEDIA_TYPE.fullmatch(file.media_type) or len(file.media_type) > LONGEST_MEDIA_TYPE:
        return FieldFault(f"{at}.content_type", "must be a media type such as image/jpeg")
    kind = file.kind
    if kind is None:
        said = "must be that of an image, of an archive (application/zip, application/x-tar, application/gzip)"
        return FieldFault(f"{at}.content_type", f"{said} or of a manifest (application/x-ndjson)")
    least, most = int(kind is not UploadKind.IMAGE), limits.of(kind)  # an empty picture fails alone, as others do
    if not least <= file.size <= most:
        said = f"{file.name!r} must have from {least} to {most} bytes ({kind.value}), got {file.size}"
        return FieldFault(f"{at}.size", said)
    return None


def _kind_of_name(name: str) -> UploadKind | None:
    if is_picture_name(name):
        return UploadKind.IMAGE
    if is_packed_name(name) or is_film_name(name):
        return UploadKind.ARCHIVE
    return UploadKind.MANIFEST if name.lower().endswith(_MANIFEST_SUFFIXES) else None
