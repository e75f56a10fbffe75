"""A job while its request is still being read: inputs go to the object store at once, the job comes last or never."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

from jobs.archives import BoundedReader, base_name, is_archive_name, is_image_name, read_archive
from jobs.errors import NoImages, TooManyBytes, TooManyImages, UnsupportedMedia
from jobs.job import NewImage, Source, SourceKind
from jobs.keys import input_key, truth_key
from jobs.matching import match_masks
from jobs.ports import IdempotencyRecord, ObjectStore, Readable

_MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".bmp": "image/bmp",
}
NAME_LENGTH = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLimits:
    """Bytes are counted as stored: an archive's entries unpacked."""

    max_images: int
    max_bytes: int
    max_image_bytes: int


@dataclass(slots=True)
class Draft:
    """One request being received. Not for several threads at once."""

    job_id: str
    objects: ObjectStore
    limits: DraftLimits
    idempotency_key: str | None = None
    earlier: IdempotencyRecord | None = None  # set when the key was used before: nothing new will be made
    _images: list[NewImage] = field(default_factory=list)
    _masks: list[tuple[str, str]] = field(default_factory=list)  # (file name, object key)
    _bytes: int = 0

    def add_file(self, name: str, data: BinaryIO, *, media_type: str | None) -> None:
        """Store an image, or each image of an archive. data: seekable, read from its beginning.

        Whether an image can be decoded is the worker's business. Raises UnsupportedMedia, ArchiveUnreadable,
        TooManyImages, TooManyBytes, StorageUnavailable.
        """
        if is_archive_name(name):
            for entry, handle in read_archive(data, name=name, largest_entry=self.limits.max_image_bytes):
                self._add_image(entry, handle)
        elif is_image_name(name) or (media_type or "").startswith("image/"):
            self._add_image(base_name(name), self._whole(name, data))
        else:
            raise UnsupportedMedia(f"{base_name(name)!r} is neither an image nor a .zip, .tar or .tar.gz archive")

    def add_mask(self, name: str, data: BinaryIO) -> None:
        """Store a ground-truth mask, or each mask of an archive; they find their images when all is there."""
        if is_archive_name(name):
            for entry, handle in read_archive(data, name=name, largest_entry=self.limits.max_image_bytes):
                self._add_mask(entry, handle)
        else:
            self._add_mask(base_name(name), self._whole(name, data))

    def add_inputs(self, inputs: Sequence[NewImage]) -> None:
        """Inputs that the workers fetch. Raises TooManyImages."""
        self._need_room(len(self._images), more=len(inputs))
        self._images += inputs

    def images(self) -> Sequence[NewImage]:
        """All images with their masks. Raises NoImages, and InvalidOptions for masks that match none."""
        if not self._images:
            raise NoImages("the request holds no image")
        pairs = match_masks([image.name for image in self._images], [name for name, _ in self._masks])
        for image, mask in pairs.items():
            truth = Source(SourceKind.OBJECT, self._masks[mask][1])
            self._images[image] = self._images[image]._replace(mask=truth)
        return self._images

    def _add_image(self, name: str, data: Readable) -> None:
        self._need_room(len(self._images))
        index = len(self._images)
        key = input_key(self.job_id, index)
        self._store(key, name, data)
        self._images.append(NewImage(Source(SourceKind.OBJECT, key), name[:NAME_LENGTH] or f"image-{index:06d}"))

    def _add_mask(self, name: str, data: Readable) -> None:
        self._need_room(len(self._masks))
        key = truth_key(self.job_id, len(self._masks))
        self._store(key, name, data)
        self._masks.append((name, key))

    def _need_room(self, count: int, *, more: int = 1) -> None:
        if count + more > self.limits.max_images:
            raise TooManyImages(f"a job may hold at most {self.limits.max_images} images")

    def _whole(self, name: str, data: BinaryIO) -> BoundedReader:
        data.seek(0)
        return BoundedReader(data, name=name, limit=self.limits.max_image_bytes)

    def _store(self, key: str, name: str, data: Readable) -> None:
        media_type = _MEDIA_TYPES.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")
        self._bytes += self.objects.put(key, data, media_type=media_type)
        if self._bytes > self.limits.max_bytes:
            raise TooManyBytes(f"a request may hold at most {self.limits.max_bytes} bytes of images")
