"""A job while its request is still being read: inputs go to the object store at once, the job comes last or never."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, NoReturn

from jobs.errors import FieldFault, InvalidOptions, NoImages, TooManyBytes, TooManyImages, UnsupportedMedia
from jobs.job import NewImage, Skipped, Source, SourceKind
from jobs.keys import input_key, truth_key
from jobs.ports import ObjectStore
from jobs.submitting.idempotency import IdempotencyRecord
from jobs.submitting.matching import masks_among, match_masks
from jobs.submitting.names import UniqueNames, base_name, relative_path, shortened
from jobs.submitting.packed import Entry, PackedLimits, Pass, is_packed, read_packed
from jobs.submitting.reading import HEAD_BYTES, BoundedReader, is_picture, is_picture_name
from segmentation.picture_files.picture_kinds import sniff_media_type

_EXAMPLES = 5
_ENTRIES_PER_IMAGE = 2  # of a bundle: pictures and what lies beside them
_SPARE_ENTRIES = 1000
_LOSSLESS = "image/png"
_UNKNOWN = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLimits:
    """Bytes are counted as stored: the entries of a bundle unpacked."""

    max_images: int
    max_bytes: int
    max_image_bytes: int


class _Stored(NamedTuple):
    """A file in the store. path: as the client named it, of any length."""

    path: str
    key: str
    sha256: str
    media_type: str

    @property
    def source(self) -> Source:
        return Source(SourceKind.OBJECT, self.key)

    def image(self, name: str, truth: _Stored | None) -> NewImage:
        if truth is None:
            return NewImage(self.source, name, input_sha256=self.sha256)
        return NewImage(self.source, name, mask=truth.source, input_sha256=self.sha256, mask_sha256=truth.sha256)


class Received(NamedTuple):
    """What a request came to. mask_label_space: as the client said, else as the names of the masks say."""

    images: Sequence[NewImage]
    mask_label_space: str | None
    skipped: Skipped


@dataclass(slots=True)
class Draft:
    """One request being received. Not for several threads at once."""

    job_id: str
    prefix: str  # of the keys of what is stored
    objects: ObjectStore
    limits: DraftLimits
    idempotency_key: str | None = None
    holder: str = ""  # this request's token for the idempotency key
    earlier: IdempotencyRecord | None = None  # set when the idempotency key was used before: nothing new will be made
    _files: list[_Stored] = field(default_factory=list)
    _masks: list[_Stored] = field(default_factory=list)
    _inputs: list[NewImage] = field(default_factory=list)
    _bytes: int = 0
    _skipped: int = 0
    _examples: list[str] = field(default_factory=list)

    def add_file(self, name: str, data: BinaryIO, *, media_type: str | None) -> None:
        """Store an image, or each image of a bundle. data: seekable, read from its beginning.

        What a file is, its content says first. Whether an image can be decoded is the worker's business. Raises
        UnsupportedMedia, ArchiveUnreadable, TooManyImages, TooManyBytes, StorageUnavailable.
        """
        said = (media_type or "").startswith("image/")
        for entry in self._entries(name, data, said=said, unknown=_refuse):
            key = input_key(self.prefix, len(self._files))
            self._keep(self._files, entry, key)

    def add_mask(self, name: str, data: BinaryIO) -> None:
        """Store a ground-truth mask, or each mask of a bundle; they find their images when all is there."""
        for entry in self._entries(name, data, said=False, unknown=self._skip):
            key = truth_key(self.prefix, len(self._masks))
            self._keep(self._masks, entry, key)

    def add_inputs(self, inputs: Sequence[NewImage]) -> None:
        """Inputs that the workers fetch. Raises TooManyImages."""
        self._need_room(len(self._inputs), more=len(inputs))
        self._inputs += inputs

    def received(self, *, mask_label_space: str | None = None, mask_suffix: str | None = None) -> Received:
        """All images with their masks and names, once all is there.

        Raises NoImages, and InvalidOptions for masks that match no image, or not clearly.
        """
        self._pass_over_files(masks_among([each.path for each in self._files]))
        if not self._files and not self._inputs:
            others = f"; no picture: {', '.join(self._examples)}" if self._examples else ""
            raise NoImages(f"the request holds no image{others}")
        self._drop_pictures_among_masks()
        masks = [each.path for each in self._masks]
        found = match_masks([each.path for each in self._files], masks, space=mask_label_space, suffix=mask_suffix)
        truths = {image: self._masks[mask] for image, mask in found.pairs.items()}
        for mask in found.passed_over:
            self._drop(self._masks[mask])
        names = UniqueNames()
        images = [each.image(names.of(each.path, index), truths.get(index)) for index, each in enumerate(self._files)]
        images += [each._replace(name=names.of(relative_path(each.name), len(images) + index))
                   for index, each in enumerate(self._inputs)]  # fmt: skip
        return Received(images, found.space or mask_label_space, Skipped(self._skipped, tuple(self._examples)))

    def largest(self, name: str, head: bytes) -> int:
        """The most bytes that a file of a request may have, by its name and its first HEAD_BYTES."""
        return self.limits.max_bytes if _comes_packed(name, head) else self.limits.max_image_bytes

    def _entries(self, name: str, data: BinaryIO, *, said: bool, unknown: Pass) -> Iterator[Entry]:
        """One picture, or those of a bundle. said: the client calls it a picture. unknown: else what becomes of it."""
        path, head = relative_path(name), _head(data)
        if _comes_packed(path, head):
            limits = PackedLimits(
                entries=_ENTRIES_PER_IMAGE * self.limits.max_images + _SPARE_ENTRIES,
                entry_bytes=self.limits.max_image_bytes,
            )
            yield from read_packed(data, name=path, limits=limits, pass_over=self._skip)
        elif is_picture(head) or is_picture_name(path) or said:
            yield Entry(path, head, BoundedReader(data, name=path, limit=self.limits.max_image_bytes))
        else:
            unknown(path)

    def _keep(self, kept: list[_Stored], entry: Entry, key: str) -> None:
        self._need_room(len(kept))
        media_type = sniff_media_type(entry.head) or _UNKNOWN
        self._bytes += self.objects.put(key, entry.data, media_type=media_type)
        if self._bytes > self.limits.max_bytes:
            raise TooManyBytes(f"a request may hold at most {self.limits.max_bytes} bytes of images")
        kept.append(_Stored(entry.path, key, entry.data.sha256, media_type))

    def _need_room(self, count: int, *, more: int = 1) -> None:
        if count + more > self.limits.max_images:
            raise TooManyImages(f"a job may hold at most {self.limits.max_images} images")

    def _pass_over_files(self, among: Sequence[int]) -> None:
        """Masks that lie among the pictures; lossless ones: nobody keeps class ids in a JPEG."""
        masks = {index for index in among if self._files[index].media_type == _LOSSLESS}
        for index in sorted(masks):
            self._drop(self._files[index])
        if masks:
            self._files = [each for index, each in enumerate(self._files) if index not in masks]

    def _drop_pictures_among_masks(self) -> None:
        """A folder that was given for both holds the pictures too; they are not their own truth."""
        if not self._masks:
            return
        pictures = {each.sha256 for each in self._files if each.media_type != _UNKNOWN}
        kept = [each for each in self._masks if each.sha256 not in pictures]
        if not kept:
            raise InvalidOptions([FieldFault("masks", "hold the pictures themselves and no masks")])
        for each in self._masks:
            if each.sha256 in pictures:
                self._drop(each)
        self._masks = kept

    def _drop(self, file: _Stored) -> None:
        self.objects.delete(file.key)
        self._skip(file.path)

    def _skip(self, path: str) -> None:
        self._skipped += 1
        if len(self._examples) < _EXAMPLES:
            self._examples.append(shortened(path))


def _refuse(path: str) -> NoReturn:
    raise UnsupportedMedia(f"{base_name(path)!r} is neither an image nor a .zip, .tar or .tar.gz archive")


def is_packed_file(name: str, data: BinaryIO) -> bool:
    """Whether a file is a bundle of inputs and no picture. data: seekable."""
    return _comes_packed(name, _head(data))


def _comes_packed(name: str, head: bytes) -> bool:
    return not is_picture(head) and is_packed(name, head)


def _head(data: BinaryIO) -> bytes:
    data.seek(0)
    head = data.read(HEAD_BYTES)
    data.seek(0)
    return head
