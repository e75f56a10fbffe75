"""What a picture file says of itself before any pixel is decoded: sizes, scans of a JPEG, chunks of a PNG, pages of a
TIFF."""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from segmentation.errors import UnreadableImage
from segmentation.picture_files.deep_pixels import Notice
from segmentation.picture_files.file_data import FileData

FIRST_OF_SEVERAL = "first_of_several"

MOST_SEGMENTS = 10_000  # of a JPEG: a profile or a preview in pieces takes some hundreds
MOST_PAGES = 1000  # that are looked at
TEXT_BYTES = 2**20  # of one text or colour profile of a PNG, unpacked; Pillow reads no more
_ALL_TEXT_BYTES = 2**26  # of all of them, and of EXIF data

_NEW_SUBFILE_TYPE, _LESSER = 254, 0b101  # bits: a smaller one of another, a mask
_MOST_TAGS = 4096  # of a page
_FIRST_TAGS = 32  # they are in order, and no tag of TIFF 6.0 has a lower number than NewSubfileType

_PNG_START = 8  # bytes of the signature
_PIXELS, _INDICES = 17, b"\3"  # where the first chunk says of what kind they are
# After a JPEG's packed data. A marker may have many bytes of ones before it: to match them all would take the square of
# their number where none follows.
_NEXT_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_START_OF_SCAN, _END_OF_IMAGE, _PROGRESSIVE = 0xDA, 0xD9, 0xC2
_AT_ONCE = (0xC0, 0xC1)  # how frames of one scan for each component begin
_WITHOUT_LENGTH = (0x01, 0xD8, _END_OF_IMAGE)
_WINDOW = 2**20  # bytes of a file on disk that are looked through at once; its last ones hold its end mark


@dataclass(frozen=True, slots=True, kw_only=True)
class PngSurvey:
    """significant_bits: the most that sBIT names, None without. complete: IEND is there.

    data: the file without the texts and profiles that are too large to be read; of one on disk nothing is left out.
    exif: empty without.
    """

    significant_bits: int | None
    complete: bool
    data: FileData
    exif: bytes = b""


def count_scans(data: FileData) -> int:
    """Scans of a JPEG: one, or of a progressive one how often its pixels are gone through. Raises UnreadableImage."""
    if isinstance(data, bytes) and _scan_marks(data) <= 1:
        return 1  # packed data never holds the mark itself: there cannot be more than these
    scans, at = 0, 2
    for _ in range(MOST_SEGMENTS):
        marker, at = _next_marker(data, at)
        if marker in (None, _END_OF_IMAGE):
            return max(1, scans)
        scans += marker == _START_OF_SCAN
        at += int.from_bytes(data[at : at + 2], "big")
    raise _too_many_segments()


def _too_many_segments() -> UnreadableImage:
    return UnreadableImage(f"the JPEG is damaged: it has more than {MOST_SEGMENTS} segments")


def _scan_marks(data: bytes) -> int:
    """As `data.count`, in a sixth of its time: packed data is full of the mark's first byte."""
    values, last = np.frombuffer(data, np.uint8), max(0, len(data) - 1)
    parts = ((first, min(first + _WINDOW, last)) for first in range(0, last, _WINDOW))
    return sum(
        int(np.count_nonzero((values[first:end] == 0xFF) & (values[first + 1 : end + 1] == _START_OF_SCAN)))
        for first, end in parts
    )


def of_pages(tiff: FileData) -> tuple[Notice, ...]:
    """What is said of one that holds several: no word in it says that the others are wanted, or that they are not."""
    pages = count_pages(tiff)
    more = " or more" if pages == MOST_PAGES else ""
    said = f"the TIFF holds {pages}{more} pictures, and this is of the first; send each in a file of its own"
    return (Notice(FIRST_OF_SEVERAL, said),) if pages > 1 else ()


def count_pages(data: FileData) -> int:
    """Pictures among the first MOST_PAGES of a TIFF or BigTIFF: those alone that are neither a smaller one of another,
    as overviews of GeoTIFFs, nor its mask. Source: TIFF 6.0, section 2 and NewSubfileType."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    number, count, entry, first = ("Q", "Q", 20, 8) if is_big else ("I", "H", 12, 4)
    length, many = struct.calcsize(number), struct.calcsize(count)
    pages, seen, at = 0, set[int](), _whole(data[first : first + length], order)
    while at and at not in seen and len(seen) < MOST_PAGES:
        seen.add(at)
        entries = min(_whole(data[at : at + many], order), _MOST_TAGS) * entry
        tags = data[at + many : at + many + min(entries, _FIRST_TAGS * entry)]
        if not tags:  # the file ends before it
            break
        pages += not any(_is_lesser(tags[each : each + entry], order) for each in range(0, len(tags), entry))
        at = _whole(data[at + many + entries : at + many + entries + length], order)
    return pages


def _is_lesser(tag: bytes, order: str) -> bool:
    """Of NewSubfileType, whose value stands at the entry's end, as the other's."""
    value = tag[-8:-4] if len(tag) > 12 else tag[-4:]
    return _whole(tag[:2], order) == _NEW_SUBFILE_TYPE and bool(_whole(value, order) & _LESSER)


def _whole(number: bytes, order: str) -> int:
    return int.from_bytes(number, "little" if order == "<" else "big")


def _next_marker(data: FileData, at: int) -> tuple[int | None, int]:
    """The first one from there on, and where it ends."""
    if isinstance(data, bytes):
        found = _NEXT_MARKER.search(data, at)
        return (None, at) if found is None else (found[1][0], found.end())
    while len(window := data[at : at + _WINDOW]) > 1:
        found = _NEXT_MARKER.search(window)
        if found is not None:
            return found[1][0], at + found.end()
        at += len(window) - 1  # a marker may lie across
    return None, at


def completed(data: bytes) -> tuple[bytes, bytes, bytes]:
    """A JPEG that was cut off, with its end mark: alone, and behind zeros and ones, to see whether it lacks pixels."""
    begun, end = data.rstrip(b"\xff"), b"\xff\xd9"
    return begun + end, begun + bytes(4096) + end, begun + b"\xff\x00" * 4096 + end


def lacks_scans(data: bytes) -> bool:
    """Whether the scans that a progressive JPEG has leave some coefficient without its last bit.

    Raises UnreadableImage. Source: ITU-T T.81, annex G.1.1.1 (spectral selection, successive approximation).
    """
    left: dict[int, int] = {}  # by component: a bit for each coefficient
    at = 2
    for _ in range(MOST_SEGMENTS):
        marker, at = _next_marker(data, at)
        if marker in (None, _END_OF_IMAGE, *_AT_ONCE):
            return any(left.values())
        size = int.from_bytes(data[at : at + 2], "big")
        body = data[at + 2 : at + size]
        if marker == _PROGRESSIVE:
            left |= dict.fromkeys(body[6::3], (1 << 64) - 1)
        elif marker == _START_OF_SCAN and body and len(body) == 4 + 2 * body[0] and not body[-1] & 15:
            first, last = body[-3:-1]
            others = ~((2 << last) - (1 << first)) if first <= last else -1
            left |= {each: left[each] & others for each in body[1:-3:2] if each in left}
        at += size
    raise _too_many_segments()


def has_end_mark(data: FileData) -> bool:
    """Whether a JPEG goes on to its end mark after its last scan."""
    data = data if isinstance(data, bytes) else data[len(data) - _WINDOW :]
    end = data.rfind(b"\xff\xd9")
    return end >= 0 and data.find(b"\xff\xda", end) < 0


def may_be_turned(data: bytes) -> bool:
    """Whether a JPEG may say which side is up, or where it was taken: in its EXIF data, or in XMP, where Pillow looks
    too."""
    head = data[: _first_scan(data)]
    return b"Exif\0" in head or b"http://ns.adobe.com/x" in head


def _first_scan(data: bytes) -> int:
    """Where a JPEG's pixels begin; the end of one whose markers do not follow one another until there."""
    at = 2
    for _ in range(MOST_SEGMENTS):
        marker, at = _next_marker(data, at) if data[at : at + 1] == b"\xff" else (None, at)
        if marker == _START_OF_SCAN:
            return at
        if marker is None or marker in _WITHOUT_LENGTH:
            break
        at += int.from_bytes(data[at : at + 2], "big")
    return len(data)


def webp_size(head: bytes) -> tuple[int, int] | None:
    """(width, height) in the first 30 bytes of a WebP file. Source: RFC 9649, sections 2.5 to 2.7."""
    chunk = head[12:16]
    if chunk == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if chunk == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 " and len(head) >= 30:
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return None


def survey_png(data: FileData) -> PngSurvey:
    """Walk over the chunks of a PNG. Source: W3C, "Portable Network Graphics (PNG) Specification", section 5."""
    significant: int | None = None
    complete = False
    exif = b""
    text_bytes = 0
    dropped: list[tuple[int, int]] = []
    for kind, start, end in _png_chunks(data):
        read = kind in _READ
        content = data[start + 8 : min(end - 4, start + 8 + _ALL_TEXT_BYTES + 1)] if read else b""
        if kind == b"sBIT":
            significant = max(content, default=None)
        elif kind in _UNPACKED:
            size = _text_bytes(kind, content)
            text_bytes += size or 0
            if size is None or text_bytes > _ALL_TEXT_BYTES:
                dropped.append((start, end))
        complete |= kind == b"IEND"
        exif = content if kind == b"eXIf" else exif
    return PngSurvey(
        significant_bits=significant,
        complete=complete,
        data=_without(data, dropped),
        exif=exif,
    )


def png_contents(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk before the pixels."""
    for kind, start, end in _png_chunks(data):
        if kind == b"IDAT":
            return
        yield kind, data[start + 8 : end - 4]


def png_palette(data: FileData) -> bytes | None:
    """Red, green and blue of each index, of a PNG whose pixels are such; None of another."""
    for kind, start, end in _png_chunks(data):
        if kind == b"PLTE":
            return data[start + 8 : end - 4]
        if kind == b"IDAT" or (kind == b"IHDR" and data[start + _PIXELS : start + _PIXELS + 1] != _INDICES):
            break
    return None


def _png_chunks(data: FileData) -> Iterator[tuple[bytes, int, int]]:
    """(type, first byte, end) of each chunk that is whole."""
    start = _PNG_START
    size = len(data)
    while True:
        head = data[start : start + 8]
        end = start + 12 + int.from_bytes(head[:4], "big")
        if end > size:
            return
        yield head[4:], start, end
        start = end


_UNPACKED = (b"iCCP", b"zTXt", b"iTXt", b"tEXt")
_READ = (*_UNPACKED, b"sBIT", b"eXIf")


def _text_bytes(kind: bytes, content: bytes) -> int | None:
    """What a text or profile takes when it is read; None when it was packed and takes more than TEXT_BYTES."""
    _, _, rest = content.partition(b"\0")  # after the keyword: for iTXt whether it is packed, then the method
    if kind == b"tEXt" or (kind == b"iTXt" and rest[:1] != b"\1"):
        return len(content)
    packed = rest[1:]
    if kind == b"iTXt":
        packed = rest[2:].partition(b"\0")[2].partition(b"\0")[2]  # after the language and the translated keyword
    try:
        size = len(zlib.decompressobj().decompress(packed, TEXT_BYTES + 1))
    except zlib.error:
        return len(content)
    return None if size > TEXT_BYTES else size


def _without(data: FileData, dropped: list[tuple[int, int]]) -> FileData:
    if not dropped or not isinstance(data, bytes):
        return data
    starts = [0, *(end for _, end in dropped)]
    ends = [*(start for start, _ in dropped), len(data)]
    return b"".join(data[start:end] for start, end in zip(starts, ends, strict=True))
