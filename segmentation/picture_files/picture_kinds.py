"""The kinds of picture files there are: how each announces itself, what it is called, and who reads it.

To add one, write its entry in `PICTURE_KINDS`: reading, names of stored files and media types follow from it.
"""

import importlib
import importlib.util
import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from segmentation.errors import UnsupportedImage
from segmentation.picture_files.deep_pixels import PLANES

HEAD_BYTES = 64  # of a file, enough to tell its kind
_WHITE_ZERO, _GREY, RGB, _INDICES, YCBCR = 0, 1, 2, 3, 6  # PhotometricInterpretation of TIFF 6.0
_PREMULTIPLIED, WITH_SIGN = 1, 2  # its ExtraSamples and SampleFormat
_PNG_START, _PIECE = 8, 2**20  # bytes of a PNG's signature, and that are looked at at once
_IDAT = b"IDAT"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by a PNG's colour type
# First column and row of each pass of an interlaced PNG, and the steps to the next.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_REDUCED = 1  # bit of NewSubfileType of TIFF 6.0: of another picture in the file

# Brands of the ISO base media format. `mif1` and `msf1` say only that a picture follows: another brand says which.
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureKind:
    """suffixes: of file names, the usual one first. shown: whether a browser may show the file by itself.

    announces: whether a file's first HEAD_BYTES are of this kind. open: a reader that has seen the header only; it
    raises what Pillow's readers raise. held: whether it holds all of the file. weight: how many times the memory of
    another picture decoding takes. compressed: whether its pixels always are.
    """

    name: str
    suffixes: tuple[str, ...]
    announces: Callable[[bytes], bool]
    open: Callable[[IO[bytes]], ImageFile.ImageFile]
    shown: bool = True
    held: bool = False
    weight: int = 1
    compressed: bool = True


class Tiff(TiffImagePlugin.TiffImageFile):
    """in_planes: whether each sample has a plane of its own."""

    in_planes = False

    def _setup(self) -> None:
        """Samples in planes that are not packed: Pillow takes each plane for one of 8 bits, however it is stored."""
        self._refuse_a_preview()
        samples = self.tag_v2.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)
        self.in_planes = self.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION) == PLANES
        self._require_pieces(samples if self.in_planes else 1)
        if samples == 1:
            self.tag_v2[TiffImagePlugin.PLANAR_CONFIGURATION] = 1  # a single plane is the picture
        elif self.in_planes:
            self._refuse_odd_planes(samples)
            self._leave_out_unnamed(samples)
        try:
            super()._setup()
        except SyntaxError as error:
            raise UnsupportedImage(
                f"{self._samples()} is not read ({error}); RGB or grey of 8 or 16 bits is"
            ) from error
        if self.in_planes and self._mode == "CMYK" and max(self.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))) > 8:
            raise UnsupportedImage("a TIFF in planes of 16 bits is read where it is RGB; this one is CMYK")
        if self.in_planes and samples > 1 and not self.use_load_libtiff:
            self.tile = [each._replace(args=self._of_plane(each.args)) for each in self.tile]

    def _require_pieces(self, planes: int) -> None:
        """Raises SyntaxError where there are fewer strips or tiles than make up the picture: all readers leave what
        they lack black."""
        tags, sides = self.tag_v2, (TiffImagePlugin.IMAGEWIDTH, TiffImagePlugin.IMAGELENGTH)
        width, height = (tags.get(each, 0) for each in sides)
        if (offsets := tags.get(TiffImagePlugin.TILEOFFSETS)) is not None:
            across, down = (tags.get(each, 0) for each in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH))
        else:
            offsets, across = tags.get(TiffImagePlugin.STRIPOFFSETS), width
            down = tags.get(TiffImagePlugin.ROWSPERSTRIP, 0) or height
        pieces = planes * -(-width // max(1, across)) * -(-height // max(1, down))
        if offsets is not None and len(offsets) < pieces:
            raise SyntaxError(f"it has {len(offsets)} of {pieces} strips or tiles")

    def _refuse_a_preview(self) -> None:
        """Cameras put a small picture before what they saw (DNG, NEF): its mask would not be that of the photograph."""
        kind = self.tag_v2.get(ExifTags.Base.NewSubfileType)
        is_reduced = isinstance(kind, int) and kind & _REDUCED
        if is_reduced and (self.tag_v2.next or ExifTags.Base.SubIFDs in self.tag_v2):
            raise UnsupportedImage("the TIFF begins with a preview of another picture in it, as raw photographs do")

    def _refuse_odd_planes(self, samples: int) -> None:
        """Of grey in planes Pillow takes the first for the picture, whatever else there is: bands of a satellite, a
        sign, white as 0. Side by side it reads none of these. Indices that share a byte it takes for one each."""
        photometric = self.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION)
        usual = self._is_in_bytes() and (photometric == _INDICES or (photometric == _GREY and samples == 2))
        if photometric in (_WHITE_ZERO, _GREY, _INDICES) and not usual:
            raise UnsupportedImage(f"{self._samples()}, in planes, is not read; RGB or grey of 8 or 16 bits is")

    def _is_in_bytes(self) -> bool:
        bits, form = (
            self.tag_v2.get(tag, (1,)) for tag in (TiffImagePlugin.BITSPERSAMPLE, TiffImagePlugin.SAMPLEFORMAT)
        )
        return {*bits} == {8} and {*form} == {1}

    def _leave_out_unnamed(self, samples: int) -> None:
        """Planes of which the file says not what they are; Pillow passes them over only where planes are packed."""
        extra = self.tag_v2.get(TiffImagePlugin.EXTRASAMPLES, ())
        photometric = self.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION)
        if any(extra) and (_PREMULTIPLIED in extra or photometric != RGB):
            raise UnsupportedImage("of TIFFs in planes transparency is read beside RGB alone, and not premultiplied")
        for tag in (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.TILEOFFSETS):
            if extra and not any(extra) and len(extra) < samples and tag in self.tag_v2:
                offsets = self.tag_v2[tag]
                self.tag_v2[tag] = offsets[: len(offsets) * (samples - len(extra)) // samples]

    def _samples(self) -> str:
        bits = self.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
        photometric = self.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, "unsaid")
        told = self.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT)
        sign = " with a sign" if isinstance(told, tuple) and WITH_SIGN in told else ""
        return (
            f"a TIFF with samples of {', '.join(map(str, bits))} bits{sign} and PhotometricInterpretation {photometric}"
        )

    def _of_plane(self, arguments: Any) -> Any:
        depth = self.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))[0]
        order = "L" if self.tag_v2.prefix == b"II" else "B"
        return arguments if depth == 8 else (f"{arguments[0]};{depth}{order}", *arguments[1:])

    def _refuse_left_out_pieces(self) -> None:
        """GDAL's SPARSE_OK leaves out strips and tiles that are empty, and says that they begin at 0: Pillow would take
        the file's own head for their pixels."""
        offsets = (self.tag_v2.get(tag, ()) for tag in (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.TILEOFFSETS))
        if any(0 in each for each in offsets):
            raise UnsupportedImage(
                "the TIFF leaves out pieces that are empty (SPARSE_OK): `gdal_translate` writes it with all of them"
            )

    def load_prepare(self) -> None:
        self._refuse_left_out_pieces()
        # Pillow would apply its process-wide limit of pixels here; ours was applied before.
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()


class Png(PngImagePlugin.PngImageFile):
    """Looks at what Pillow passes over and libpng does not: check sums of packed pixels, of which one wrong bit may
    leave others that look sound, and whether they are all there."""

    def load_prepare(self) -> None:
        """Raises SyntaxError. Of a chunk that is cut off nothing is known."""
        file = self._file()
        begin = file.tell()
        for size in self._packed_chunks():
            summed = zlib.crc32(_IDAT)
            for piece in _pieces(file, size):
                summed = zlib.crc32(piece, summed)
            told = file.read(4)
            if len(told) == 4 and int.from_bytes(told, "big") != summed:
                raise SyntaxError("its pixels are not those that were written, as their check sum tells")
        file.seek(begin)
        super().load_prepare()

    def load_end(self) -> None:
        """Raises SyntaxError. Rows that are not there are zeros, the last one first; of interlaced ones any row."""
        file = self._file()
        begin = file.tell()
        file.seek(_PNG_START + 8)
        header = file.read(13)
        width, height = self.im.size
        is_last_row_empty = not self.im.crop((0, height - 1, width, height)).getbbox(False)
        if (is_last_row_empty or header[-1]) and not self._unpacks_to(_unpacked_bytes(header)):
            raise SyntaxError("it has fewer rows than it says")
        file.seek(begin)
        super().load_end()

    def _unpacks_to(self, size: int) -> bool:
        """Whether its packed data are `size` bytes at least."""
        unpacking = zlib.decompressobj()
        for chunk in self._packed_chunks():
            for piece in _pieces(self._file(), chunk):
                packed = piece
                while packed and size > 0:
                    size -= len(unpacking.decompress(packed, _PIECE))
                    packed = unpacking.unconsumed_tail
        return size <= 0 or size <= len(unpacking.flush())

    def _packed_chunks(self) -> Iterator[int]:
        """The size of each chunk of pixels, before whose first byte the file is then."""
        file, at = self._file(), _PNG_START
        while file.seek(at) == at and len(head := file.read(8)) == 8 and head[4:] != b"IEND":
            size = int.from_bytes(head[:4], "big")
            if head[4:] == _IDAT:
                yield size
            at += size + 12

    def _file(self) -> IO[bytes]:
        assert self.fp is not None  # it is closed by loading
        return self.fp


def _pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (piece := file.read(min(size, _PIECE))):
        size -= len(piece)
        yield piece


def _unpacked_bytes(header: bytes) -> int:
    """header: what IHDR holds. Source: W3C, "Portable Network Graphics (PNG) Specification", sections 7.2 and 8.2."""
    width, height, depth, colours, _packing, _filter, laced = struct.unpack(">IIBBBBB", header)
    bits = depth * _SAMPLES[colours]
    passes = _ADAM7 if laced else ((0, 0, 1, 1),)
    sizes = ((-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in passes)
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0 and rows > 0)


class _ShortFirstRead(io.BytesIO):
    """Gives the WebP reader too little to apply Pillow's process-wide limit of pixels; ours was applied before."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(16 if self.tell() == 0 else size)


def _brands(head: bytes) -> frozenset[bytes]:
    if head[4:8] != b"ftyp":
        return frozenset()
    box = head[: int.from_bytes(head[:4], "big")]
    return frozenset({head[8:12], *(box[at : at + 4] for at in range(16, len(box), 4))})


def _begins(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures)


def _is_avif(head: bytes) -> bool:
    return bool(_brands(head) & _AVIF_BRANDS)


def _is_heif(head: bytes) -> bool:
    return bool(_brands(head) & _HEIF_BRANDS) and not _is_avif(head)


def _open_heif(file: IO[bytes]) -> ImageFile.ImageFile:
    if importlib.util.find_spec("pillow_heif") is None:
        raise UnsupportedImage("HEIC is read where the package pillow-heif is installed; here it is not")
    reader: Any = importlib.import_module("pillow_heif").HeifImageFile
    picture: ImageFile.ImageFile = reader(file)
    return picture


def _open_jpeg_2000(file: IO[bytes]) -> ImageFile.ImageFile:
    if not features.check_codec("jpg_2000"):
        raise UnsupportedImage("JPEG 2000 is read where Pillow comes with OpenJPEG; here it does not")
    return Jpeg2KImagePlugin.Jpeg2KImageFile(io.BytesIO(file.read()))


# The plugins themselves, not Image.open: that applies a process-wide limit, and tries some forty other formats.
PICTURE_KINDS: Mapping[str, PictureKind] = {  # by media type
    "image/jpeg": PictureKind(
        name="JPEG",
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),  # MPO: a JPEG with more behind it
        announces=_begins(b"\xff\xd8\xff"),
        open=JpegImagePlugin.JpegImageFile,
    ),
    "image/png": PictureKind(
        name="PNG",
        suffixes=(".png", ".apng"),
        announces=_begins(b"\x89PNG\r\n\x1a\n"),
        open=Png,
    ),
    "image/webp": PictureKind(
        name="WebP",
        suffixes=(".webp",),
        announces=lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
        open=lambda file: WebPImagePlugin.WebPImageFile(_ShortFirstRead(file.read())),
        held=True,
    ),
    "image/tiff": PictureKind(
        name="TIFF",
        suffixes=(".tif", ".tiff"),
        announces=_begins(b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
        open=Tiff,
        compressed=False,
    ),
    "image/bmp": PictureKind(
        name="BMP",
        suffixes=(".bmp", ".dib"),
        announces=_begins(b"BM"),
        open=BmpImagePlugin.BmpImageFile,
        compressed=False,
    ),
    "image/avif": PictureKind(
        name="AVIF",
        suffixes=(".avif",),
        announces=_is_avif,
        open=AvifImagePlugin.AvifImageFile,
        held=True,
    ),
    "image/gif": PictureKind(
        name="GIF",
        suffixes=(".gif",),
        announces=_begins(b"GIF87a", b"GIF89a"),
        open=GifImagePlugin.GifImageFile,
    ),
    "image/heic": PictureKind(
        name="HEIC",
        suffixes=(".heic", ".heif", ".hif"),
        announces=_is_heif,
        open=_open_heif,
        shown=False,
        held=True,
    ),
    "image/jp2": PictureKind(
        name="JPEG 2000",
        suffixes=(".jp2", ".j2k", ".jpx", ".j2c"),
        announces=_begins(b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        open=_open_jpeg_2000,
        shown=False,
        held=True,
        weight=4,  # OpenJPEG keeps each sample in four bytes
    ),
}

# Recognised so that the answer is "not supported" and not "damaged".
_FOREIGN = {
    b"8BPS": "Photoshop",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"\x00\x00\x01\x00": "ICO",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL": "JPEG XL",
    b"qoif": "QOI",
}


def kinds_read() -> str:
    """The kinds of pictures that are read, for people."""
    *first, last = (kind.name for kind in PICTURE_KINDS.values())
    return f"{', '.join(first)} or {last}"


def sniff_media_type(head: bytes) -> str | None:
    """The media type that the first HEAD_BYTES of a file announce, None when it is none of `PICTURE_KINDS`."""
    return next((media_type for media_type, kind in PICTURE_KINDS.items() if kind.announces(head)), None)


def is_compressed(head: bytes) -> bool:
    """Whether the pixels of a file with these first HEAD_BYTES are compressed. False where nobody knows."""
    media_type = sniff_media_type(head)
    return media_type is not None and PICTURE_KINDS[media_type].compressed


def foreign_kind(head: bytes) -> str | None:
    """What a picture that is not read calls itself; None when it is none that is known."""
    if head[4:8] == b"ftyp":
        return "this kind of video or picture"
    return next((name for signature, name in _FOREIGN.items() if head.startswith(signature)), None)
