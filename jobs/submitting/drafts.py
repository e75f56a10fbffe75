"""A job while its request is still being read: inputs go to the object store at once, the job comes last or never."""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, NoReturn

from jobs.errors import FieldFault, InvalidOptions, NoImages, TooManyBytes, TooManyImages, UnsupportedMedia
from jobs.films.film import EVERY_S, are_films_read, frames_of_film, spooled
from jobs.job import NewImage, Skipped, Source, SourceKind
from jobs.keys import input_key, truth_key
from jobs.ports import ObjectStore, Readable
from jobs.submitting.idempotency import IdempotencyRecord
from jobs.submitting.matching import MasksOfJobs, masks_among, match_masks
from jobs.submitting.names import UniqueNames, base_name, relative_path, shortened
from jobs.submitting.packed import Entry, PackedLimits, Pass, is_packed, read_packed
from jobs.submitting.reading import HEAD_BYTES, BoundedReader, is_picture, is_picture_name
from segmentation.picture_files.film import FilmLimits, is_film, is_film_name
from segmentation.picture_files.picture_kinds import sniff_media_type

_DIGEST_BYTES = 32  # of SHA-256
_EXAMPLES = 5
_ENTRIES_PER_IMAGE = 2  # of a bundle: pictures and what lies beside them
_SPARE_ENTRIES = 1000
_LOSSLESS, _LOSSLESS_SUFFIX = "image/png", ".png"
_FILES = frozenset({SourceKind.OBJECT, SourceKind.UPLOAD, SourceKind.BUCKET})
_PIECE = 2**20  # bytes of a film that is put aside
_UNKNOWN = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLimits:
    """Bytes are counted as stored: the entries of a bundle unpacked."""

    max_images: int
    max_bytes: int
    max_image_bytes: int
    films: FilmLimits = field(default_factory=FilmLimits)


class _Film(NamedTuple):
    """Its frames are taken when all of the request is there, which says how often."""

    path: str
    file: IO[bytes]
    ref: str | None


class _Stored(NamedTuple):
    """A file in the store. path: as the client named it, of any length."""

    path: str
    key: str
    sha256: str
    media_type: str

    @property
    def source(self) -> Source:
        return Source(SourceKind.OBJECT, self.key)

    def image(self) -> NewImage:
        return NewImage(self.source, self.path, input_sha256=self.sha256)


class _Files:
    """Stored files in columns: as objects, a hundred thousand of them take 40 MB."""

    def __init__(self, prefix: str) -> None:
        self.paths: list[str] = []
        self._prefix = prefix
        self._numbers = array("L")  # in their keys
        self._digests = bytearray()
        self._media_types: list[str] = []

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> _Stored:
        digest = self._digests[index * _DIGEST_BYTES : (index + 1) * _DIGEST_BYTES].hex()
        key = input_key(self._prefix, self._numbers[index])
        return _Stored(self.paths[index], key, digest, self._media_types[index])

    def __iter__(self) -> Iterator[_Stored]:
        return map(self.__getitem__, range(len(self)))

    def add(self, stored: _Stored, number: int) -> None:
        self.paths.append(stored.path)
        self._numbers.append(number)
        self._digests += bytes.fromhex(stored.sha256)
        self._media_types.append(stored.media_type)

    def without(self, indices: AbstractSet[int]) -> _Files:
        kept = _Files(self._prefix)
        for index, number in enumerate(self._numbers):
            if index not in indices:
                kept.add(self[index], number)
        return kept


class Images:
    """Of a request: files and then what the workers fetch, each made anew when it is asked for."""

    def __init__(self, files: _Files, inputs: Sequence[NewImage]) -> None:
        self._files, self._inputs = files, inputs
        self.masks: dict[int, _Mask] = {}
        self.names: Sequence[str] = ()  # empty: paths, as the client gave them

    def __len__(self) -> int:
        return len(self._files) + len(self._inputs)

    def __getitem__(self, at: int) -> NewImage:
        files = len(self._files)
        image = self._files[at].image() if at < files else self._inputs[at - files]
        mask = self.masks.get(at)
        if mask is not None:
            image = image._replace(mask=mask.source, mask_sha256=mask.sha256)
        return image._replace(name=self.names[at]) if self.names else image

    def __iter__(self) -> Iterator[NewImage]:
        return map(self.__getitem__, range(len(self)))


class _Mask(NamedTuple):
    """sha256: None where nobody has read it yet."""

    path: str
    source: Source
    sha256: str | None = None


class Received(NamedTuple):
    """What a request came to. mask_label_space: as the client said, else as the names of the masks say. every_s: how
    often frames were taken of its films; None where it has none."""

    images: Images
    mask_label_space: str | None
    skipped: Skipped
    every_s: float | None = None


@dataclass(slots=True)
class Draft:
    """One request being received. Not for several threads at once."""

    job_id: str
    prefix: str  # of the keys of what is stored
    objects: ObjectStore
    limits: DraftLimits
    idempotency_key: str | None = None
    holder: str = ""  # this request's token for the idempotency key
    spool: Path | None = None  # where films lie until their frames are stored
    earlier: IdempotencyRecord | None = None  # set when the idempotency key was used before: nothing new will be made
    _files: _Files = field(init=False)
    _masks: list[_Mask] = field(default_factory=list)
    _inputs: list[NewImage] = field(default_factory=list)
    _films: list[_Film] = field(default_factory=list)
    _film_bytes: int = 0
    masks_of_jobs: MasksOfJobs = field(default_factory=MasksOfJobs)
    frames_of_jobs_s: float | None = None  # how often other jobs took frames that are inputs of this one
    _numbers: Iterator[int] = field(default_factory=count)  # in the keys of inputs: none is given twice
    _bytes: int = 0
    _skipped: int = 0
    _examples: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._files = _Files(self.prefix)

    def add_file(self, name: str, data: BinaryIO, *, media_type: str | None) -> None:
        """Store an image, each image of a bundle, or put a film aside. data: seekable, read from its beginning.

        What a file is, its content says first. Whether an image can be decoded is the worker's business. Raises
        UnsupportedMedia, ArchiveUnreadable, TooManyImages, TooManyBytes, StorageUnavailable.
        """
        said = (media_type or "").startswith("image/")
        if self._took_film(name, data):
            return
        for entry in self._pictures(self._entries(name, data, said=said, unknown=_refuse), None):
            number = next(self._numbers)
            self._files.add(self._keep(entry, input_key(self.prefix, number), count=len(self._files)), number)

    def add_mask(self, name: str, data: BinaryIO) -> None:
        """Store a ground-truth mask, or each mask of a bundle; they find their images when all is there."""
        for entry in self._entries(name, data, said=False, unknown=self._skip, films=False):
            stored = self._keep(entry, truth_key(self.prefix, len(self._masks)), count=len(self._masks))
            self._masks.append(_Mask(stored.path, stored.source, stored.sha256))

    def add_named_mask(self, source: Source, name: str) -> None:
        """A mask that the workers fetch, and that finds its image by its name."""
        self._need_room(len(self._masks))
        self._masks.append(_Mask(relative_path(name), source))

    def add_packed(self, name: str, data: BinaryIO, *, ref: str | None = None) -> None:
        """As `add_file`, beside inputs that the workers fetch, and with the caller's own id."""
        if self._took_film(name, data, ref=ref):
            return
        for entry in self._pictures(self._entries(name, data, said=False, unknown=_refuse), ref):
            stored = self._keep(entry, self.new_key(), count=len(self._inputs))
            self._inputs.append(stored.image()._replace(ref=ref))

    def new_key(self) -> str:
        """Of an input that is stored, which no other has."""
        return input_key(self.prefix, next(self._numbers))

    def add_inputs(self, inputs: Sequence[NewImage]) -> None:
        """Inputs that the workers fetch. Raises TooManyImages."""
        self._need_room(len(self._inputs), more=len(inputs))
        self._inputs += inputs

    @property
    def has_masks(self) -> bool:
        return bool(self._masks)

    def has_any(self, names: AbstractSet[str]) -> bool:
        """Whether an input has one of these names."""
        return any(each.name in names for each in self._inputs)

    def received(
        self, *, mask_label_space: str | None = None, mask_suffix: str | None = None, every_s: float | None = None
    ) -> Received:
        """All images with their masks and names, once all is there; the frames of films come behind the others.

        every_s: how often frames are taken. Raises what reading a film raises, NoImages, and InvalidOptions for masks
        that match no image, or not clearly.
        """
        self._pass_over_files(masks_among(self._files.paths))
        self._pass_over_inputs()
        for film in self._films:
            self._take_frames(film, every_s or EVERY_S)
        if not self._files and not self._inputs:
            others = f"; no picture: {', '.join(self._examples)}" if self._examples else ""
            raise NoImages(f"the request holds no image{others}")
        self._drop_pictures_among_masks()
        images = Images(self._files, self._inputs)
        space = self._add_truths(images, mask_label_space, mask_suffix)
        names = UniqueNames()
        images.names = [names.of(relative_path(each.name), at) for at, each in enumerate(images)]
        taken_s = (every_s or EVERY_S) if self._films else None
        meant = self.masks_of_jobs.meaning(images, space, mask_label_space)
        return Received(images, meant, Skipped(self._skipped, tuple(self._examples)), taken_s)

    def close(self) -> None:
        """Films take no room on the disk any longer."""
        for film in self._films:
            film.file.close()

    def _took_film(self, name: str, data: BinaryIO, *, ref: str | None = None) -> bool:
        path = relative_path(name)
        if not _comes_as_film(path, _head(data)):
            return False
        self._put_aside(path, data, ref)
        return True

    def _pictures(self, entries: Iterator[Entry], ref: str | None) -> Iterator[Entry]:
        """Films among them are put aside."""
        for entry in entries:
            if _comes_as_film(entry.path, entry.head):
                self._put_aside(entry.path, entry.data, ref)
            else:
                yield entry

    def _put_aside(self, path: str, data: Readable, ref: str | None) -> None:
        film = spooled(iter(partial(data.read, _PIECE), b""), self.spool)
        self._film_bytes += film.tell()
        self._films.append(_Film(path, film, ref))

    def _take_frames(self, film: _Film, every_s: float) -> None:
        room = self.limits.max_images - len(self._files) - len(self._inputs)
        limits = replace(self.limits.films, frames=min(room, self.limits.films.frames))
        for path, jpeg in frames_of_film(film.file, film.path, every_s=every_s, limits=limits):
            data = BoundedReader(io.BytesIO(jpeg), name=path, limit=self.limits.max_image_bytes)
            count = len(self._files) + len(self._inputs)
            stored = self._keep(Entry(path, jpeg[:HEAD_BYTES], data), self.new_key(), count=count)
            self._inputs.append(stored.image()._replace(ref=film.ref))

    def _add_truths(self, images: Images, space: str | None, suffix: str | None) -> str | None:
        """Masks to those images that have none, by their names. Returns what the masks' names say their ids mean."""
        if not self._masks:
            return None
        open_places = [at for at, each in enumerate(images) if each.mask is None]
        paths = [relative_path(images[at].name) for at in open_places]
        found = match_masks(paths, [each.path for each in self._masks], space=space, suffix=suffix)
        for place, chosen in found.pairs.items():
            images.masks[open_places[place]] = self._masks[chosen]
        for each in found.passed_over:
            self._drop(self._masks[each].source, self._masks[each].path)
        return found.space

    def largest(self, name: str, head: bytes) -> int:
        """The most bytes that a file of a request may have, by its name and its first HEAD_BYTES."""
        return self.limits.max_bytes if _is_bundle(name, head) else self.limits.max_image_bytes

    def _entries(self, name: str, data: BinaryIO, *, said: bool, unknown: Pass, films: bool = True) -> Iterator[Entry]:
        """One picture, or those of a bundle, and its films. said: the client calls it a picture. unknown: else
        what becomes of it."""
        path, head = relative_path(name), _head(data)
        if _comes_packed(path, head):
            limits = PackedLimits(
                entries=_ENTRIES_PER_IMAGE * self.limits.max_images + _SPARE_ENTRIES,
                entry_bytes=self.limits.max_image_bytes,
                film_bytes=(lambda: self.limits.max_bytes - self._film_bytes) if films and are_films_read() else None,
            )
            yield from read_packed(data, name=path, limits=limits, pass_over=self._skip)
        elif is_picture(head) or is_picture_name(path) or said:
            yield Entry(path, head, BoundedReader(data, name=path, limit=self.limits.max_image_bytes))
        else:
            unknown(path)

    def _keep(self, entry: Entry, key: str, *, count: int) -> _Stored:
        """count: of those that there are already."""
        self._need_room(count)
        media_type = sniff_media_type(entry.head) or _UNKNOWN
        self._bytes += self.objects.put(key, entry.data, media_type=media_type)
        if self._bytes > self.limits.max_bytes:
            raise TooManyBytes(f"a request may hold at most {self.limits.max_bytes} bytes of images")
        return _Stored(entry.path, key, entry.data.sha256, media_type)

    def _need_room(self, count: int, *, more: int = 1) -> None:
        if count + more > self.limits.max_images:
            raise TooManyImages(f"a job may hold at most {self.limits.max_images} images")

    def _pass_over_files(self, among: Sequence[int]) -> None:
        """Masks that lie among the pictures; lossless ones: nobody keeps class ids in a JPEG."""
        masks = {index for index in among if self._files[index].media_type == _LOSSLESS}
        for index in sorted(masks):
            self._drop(self._files[index].source, self._files[index].path)
        if masks:
            self._files = self._files.without(masks)

    def _pass_over_inputs(self) -> None:
        """The same among what is named file by file; addresses and samples are what their caller says."""
        if not any(each.name.lower().endswith(_LOSSLESS_SUFFIX) for each in self._inputs):
            return
        files = [at for at, each in enumerate(self._inputs) if each.source.kind in _FILES and each.mask is None]
        among = masks_among([relative_path(self._inputs[at].name) for at in files])
        passed = {files[at] for at in among if self._inputs[files[at]].name.lower().endswith(_LOSSLESS_SUFFIX)}
        for at in sorted(passed):
            self._drop(self._inputs[at].source, self._inputs[at].name)
        if passed:
            self._inputs = [each for at, each in enumerate(self._inputs) if at not in passed]

    def _drop_pictures_among_masks(self) -> None:
        """A folder that was given for both holds the pictures too; they are not their own truth."""
        if not self._masks:
            return
        pictures = {each.sha256 for each in self._files if each.media_type != _UNKNOWN}
        pictures |= {each.input_sha256 for each in self._inputs if each.input_sha256 is not None}
        kept = [each for each in self._masks if each.sha256 not in pictures]
        if not kept:
            raise InvalidOptions([FieldFault("masks", "hold the pictures themselves and no masks")])
        for each in self._masks:
            if each.sha256 in pictures:
                self._drop(each.source, each.path)
        self._masks = kept

    def _drop(self, source: Source, path: str) -> None:
        if source.kind is SourceKind.OBJECT:  # what was uploaded before may be of use to others
            self.objects.delete(source.location)
        self._skip(path)

    def _skip(self, path: str) -> None:
        self._skipped += 1
        if len(self._examples) < _EXAMPLES:
            self._examples.append(shortened(path))


def _refuse(path: str) -> NoReturn:
    raise UnsupportedMedia(f"{base_name(path)!r} is no image, film (MP4, MOV, MKV, WebM), .zip, .tar or .tar.gz file")


def is_packed_file(name: str, data: BinaryIO) -> bool:
    """Whether a file is a bundle of inputs, or a film, and no picture. data: seekable."""
    return _is_bundle(name, _head(data))


def _is_bundle(name: str, head: bytes) -> bool:
    return _comes_packed(name, head) or _comes_as_film(name, head)


def _comes_as_film(name: str, head: bytes) -> bool:
    """By its first bytes; by its name where they say nothing, so that a damaged film is called one."""
    return not is_picture(head) and (is_film(head) or (is_film_name(name) and not _comes_packed(name, head)))


def _comes_packed(name: str, head: bytes) -> bool:
    return not is_picture(head) and is_packed(name, head)


def _head(data: BinaryIO) -> bytes:
    data.seek(0)
    head = data.read(HEAD_BYTES)
    data.seek(0)
    return head
