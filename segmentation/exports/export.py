"""What an export for an annotation tool is: the files that it takes, and how what comes back from it is read.

An export goes over a job's images as often as it needs and holds one label map at a time. Pixels of the label space's
void id are what a tool leaves unlabelled, in both directions.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple, Protocol
from unicodedata import normalize
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import MaskMismatch, UnreadableExport
from segmentation.exports.labels import Labels
from segmentation.formats.outlines import EXACT, Outlines
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.picture_files.places import NOWHERE, Place

Ids = NDArray[np.uint8]  # (H, W) class ids of the job's label space

MAX_PIXELS = 1 << 28  # of a mask that comes back
LARGEST_DOCUMENT = 1 << 28  # bytes of a JSON file that is read back whole
_ROBOFLOW = re.compile(r"(?P<stem>.+)_(?P<suffix>[A-Za-z0-9]{3,4})\.rf\.[0-9A-Za-z]+\.[a-z]+")
_LABEL_STUDIO = re.compile(r"[0-9a-f]{8}-(?P<name>.+)")
_ADDRESS, PICTURES = "?d=", "images/"  # of Label Studio, and where our export for it has pictures
# Documents of a job's archive, whose masks may come back.
ARCHIVED = ("manifest.json", "label_space.json", "metrics.json", "coco.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """An image on its way out. number: from 1. name: with its folders, without suffix, unique, safe on every system.

    suffix: of the picture's file, with its dot. width, height in pixels. place: where it was taken.
    rows: of a map that is not held, which then is not `read`: bands from top to bottom.
    """

    number: int
    name: str
    suffix: str
    width: int
    height: int
    read: Callable[[], LabelMap]
    place: Callable[[], Place] = lambda: NOWHERE
    rows: Callable[[], Iterator[Ids]] | None = None

    @property
    def file_name(self) -> str:
        return self.name + self.suffix


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What is exported. about: which job and model, in a sentence. instances: whether regions that hang together are
    told apart. pictures: whether the pictures lie in the archive, in the export's folder for them. outlines: of those
    exports that hold polygons."""

    about: str
    software: str
    space: LabelSpace
    instances: bool
    pictures: bool
    images: Callable[[], Iterator[Labelled]]
    outlines: Outlines = EXACT

    @property
    def labels(self) -> Labels:
        return Labels.of(self.space)


class File(NamedTuple):
    """One file of an export: its bytes, or for a long one, pieces of them as they come."""

    name: str
    content: bytes | Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Known:
    """An image of the job that something comes back for. name: as it was exported. picture: as its client calls it,
    with its suffix; of no other image."""

    index: int
    name: str
    width: int
    height: int
    place: Callable[[], Place] = lambda: NOWHERE
    picture: str = ""

    def check_size(self, width: object, height: object, *, scaled: bool = False) -> None:
        """Of the picture on which something was drawn, if that is told, which 0 does not; scaled: it may be another as
        long as it has the same proportions. Raises MaskMismatch: what a tool turned or resized would be laid across."""
        if not isinstance(width, (int, float)) or not isinstance(height, (int, float)) or not (width and height):
            return
        skewed = abs(width * self.height - height * self.width) > max(width, height, self.width, self.height)
        if skewed or not (scaled or (width, height) == (self.width, self.height)):
            size = f"{self.width}×{self.height}"
            raise MaskMismatch(f"{self.name}: drawn on a picture of {width:g}×{height:g}, and it is {size}")


class Drawn(NamedTuple):
    image: Known
    ids: Ids


class Returned:
    """What comes back: files by name, and the job's images. Bytes are read when they are asked for."""

    def __init__(
        self,
        files: Mapping[str, Callable[[], bytes]],
        images: Iterable[Known],
        space: LabelSpace,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """max_pixels: of a picture whose mask comes back."""
        self.files = files
        self.space = space
        self._max_pixels = max_pixels
        self.unknown: list[str] = []  # names that are no image's, or not clearly
        known = list(images)
        self._exported = {_written(each.name): each for each in known}
        self._whole, self._bare, self._folded, self._stems = _Names(), _Names(), _Names(), _Names()
        for each in known:
            picture = _written(each.picture)
            self._whole.enter(each, picture)
            bare = without_suffix(picture or each.name)
            self._bare.enter(each, bare)
            self._folded.enter(each, each.name.casefold(), bare.casefold())
            self._stems.enter(each, _last(each.name), _last(bare))

    @property
    def labels(self) -> Labels:
        return Labels.of(self.space)

    def image(self, name: str, *others: str) -> Known | None:
        """By its name without suffix: as it was exported, else as its picture is called, else by the last part of it;
        the latter two where only one image has it. others: what it may be called too.

        A name that is nobody's is kept in `unknown`. Raises UnreadableExport for a picture that is too large.
        """
        names = [_written(each) for each in (name, *others)]
        folded, stems = [each.casefold() for each in names], [_last(each) for each in names]
        tables = (self._exported, names), (self._bare, names), (self._folded, folded), (self._stems, stems)
        found = (table.get(each) for table, keys in tables for each in keys)
        return self._told(name, next((each for each in found if each is not None), None))

    def picture(self, name: str) -> Known | None:
        """As `image`, by what somebody calls a mask: as its picture, with the picture's suffix or without. What
        several pictures are called without it is nobody's, whatever was exported so."""
        written = _written(name)
        if written in self._whole or written in self._bare:
            return self._told(name, self._whole.get(written) or self._bare.get(written))
        return self.image(name)

    def file(self, name: str, *others: str) -> Known | None:
        """As `image`, by the name of the picture's file: the exported one, or its own; nobody's where these are two."""
        bare = without_suffix(_written(name))
        wholes = (self._whole.get(_written(each)) for each in (name, *others))
        own, exported = next((each for each in wholes if each is not None), None), self._exported.get(bare)
        if own is None or exported in (None, own):
            return self.image(bare, *map(without_suffix, others)) if own is None else self._told(name, own)
        return self._told(name, None)

    def knows(self, name: str) -> bool:
        """Whether an image is called so, with all its folders: as its picture, with its suffix or without, or as it was
        exported."""
        written = _written(name)
        return written in self._whole or written in self._bare or written in self._exported

    def _told(self, name: str, found: Known | None) -> Known | None:
        if found is None:
            self.unknown.append(name)
        elif found.width * found.height > self._max_pixels:
            size = f"{found.width}×{found.height}"
            raise UnreadableExport(
                f"{found.name} is {size}: of more than {self._max_pixels} pixels no mask is taken back; leave it out"
            )
        return found

    def named(self, suffix: str, *, folder: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
        """Files with this ending below a folder of that name, wherever it lies; by their names behind it. Pictures may
        lie in one that is called so, too."""
        for path, read in self.files.items():
            _, found, name = f"/{path}".partition(f"/{folder}/")
            if found and name.lower().endswith(suffix):
                yield name[: -len(suffix)], read

    def document(self, name: str) -> bytes | None:
        """The one file that is called so, in whatever folder. Raises UnreadableExport when it is too long, and where
        several say different things: each would be of some of the others."""
        found: bytes | None = None
        for path, read in self.files.items():
            if path == name or path.endswith(f"/{name}"):
                content = read()
                if len(content) > LARGEST_DOCUMENT:
                    raise UnreadableExport(f"{path} is longer than {LARGEST_DOCUMENT} bytes; send it in parts")
                if found is not None and content.split() != found.split():
                    raise UnreadableExport(f"several files called {name} differ; send each export by itself")
                found = content if found is None else found
        return found

    def blank(self, image: Known) -> Ids:
        """Nothing labelled yet."""
        return np.full((image.height, image.width), self.space.void_id, np.uint8)


class _Names(dict[str, Known | None]):
    """Images by what they are called; None where several are called so."""

    def enter(self, image: Known, *names: str) -> None:
        self.update({name: image if self.setdefault(name, image) is image else None for name in names})


def names_before(file_name: str) -> list[str]:
    """What a picture may have been called before a tool took it in: `a_jpg.rf.0f3c….jpg` of Roboflow, and
    `upload/1/1f2e3d4c-a.jpg` of Label Studio, was a.jpg; so was its address of a local file, `…?d=images/a.jpg`. Empty
    for other names."""
    _, is_address, place = file_name.partition(_ADDRESS)
    place = unquote(place)
    names = [place, place.removeprefix(PICTURES)] if is_address else []
    last = PurePosixPath((place or file_name).replace("\\", "/")).name
    if found := _ROBOFLOW.fullmatch(last):
        return [*names, f"{found['stem']}.{found['suffix']}"]
    found = _LABEL_STUDIO.fullmatch(last)
    return names if found is None else [*names, found["name"]]


def without_suffix(name: str) -> str:
    return name.removesuffix(PurePosixPath(name).suffix)


def _written(name: str) -> str:
    """As names of images are: composed letters (NFC), `/` between folders. Tools on macOS and Windows write others."""
    return normalize("NFC", name.replace("\\", "/"))


def _last(name: str) -> str:
    return PurePosixPath(name).name.casefold()


class Export(Protocol):
    """One form of one tool. It is listed in EXPORTS and nowhere else.

    title: for people. by_rows: whether, without instances, it is made of maps that are not held.
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def by_rows(self) -> bool: ...

    def check(self, space: LabelSpace) -> None:
        """Raises NoRemapping, UnavailableExport when labels of this space cannot be exported here."""

    def files(self, exported: Exported) -> Iterator[File]:
        """In a fixed order, the same bytes each time."""
        ...

    def picture(self, name: str, suffix: str, names: Collection[str]) -> str:
        """Where an image's picture lies, when pictures are asked for. name, suffix: as of `Labelled`. names: of all."""
        ...

    def fits(self, names: Collection[str]) -> bool:
        """Whether an archive with these files looks like one that came from this tool."""
        ...

    def read(self, returned: Returned) -> Iterator[Drawn]:
        """What was drawn, image by image. Raises UnreadableExport."""
        ...
