"""Samples as files store them, against what is read of them: every kind of TIFF, grey and colours that stand for
nothing, masks whose ids a way of storing would change."""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from segmentation.errors import ImageTooLarge, MaskMismatch, UnreadableImage, UnsupportedImage
from segmentation.picture_files.picture_rows import open_rows
from segmentation.picture_files.pictures import decode_mask, read_picture

RNG = np.random.default_rng(11)
HEIGHT, WIDTH = 8, 16
WHITE_ZERO, GREY, COLOURS, PALETTE, _, INKS = range(6)  # TIFF's PhotometricInterpretation
UNNAMED, PREMULTIPLIED, ALPHA = range(3)  # TIFF's ExtraSamples


def tiff(
    samples: NDArray[Any],
    bits: int,
    photometric: int,
    extra: Sequence[int] = (),
    packing: str = "<",
    *,
    planes: bool = False,
    deflated: bool = False,
    signed: bool = False,
) -> bytes:
    """samples: (H, W, N) whole numbers of so many bits; side by side, or each in a plane of its own."""
    pieces = samples.transpose(2, 0, 1)[..., None] if planes else samples[None]
    contents = [packed(each, bits, packing) for each in pieces]
    contents = [zlib.compress(each) for each in contents] if deflated else contents
    sizes = [len(each) for each in contents]
    tags: dict[int, tuple[str, Sequence[int]]] = {
        256: ("H", [samples.shape[1]]),
        257: ("H", [samples.shape[0]]),
        258: ("H", [bits] * samples.shape[2]),
        259: ("H", [8 if deflated else 1]),
        262: ("H", [photometric]),
        273: ("I", [0] * len(contents)),
        277: ("H", [samples.shape[2]]),
        278: ("H", [samples.shape[0]]),
        279: ("I", sizes),
        284: ("H", [2 if planes else 1]),
    }
    if extra:
        tags[338] = ("H", extra)
    if signed:
        tags[339] = ("H", [2] * samples.shape[2])
    after = 8 + 2 + 12 * len(tags) + 4
    long = {tag: len(values) * struct.calcsize(kind) for tag, (kind, values) in tags.items()}
    first = after + sum(size for size in long.values() if size > 4)
    tags[273] = ("I", [first + sum(sizes[:place]) for place in range(len(sizes))])
    fields, values_behind = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        told = struct.pack(f"{packing}{len(values)}{kind}", *values)
        if len(told) > 4:
            told, values_behind = struct.pack(f"{packing}I", after + len(values_behind)), values_behind + told
        fields += struct.pack(f"{packing}HHI", tag, {"H": 3, "I": 4}[kind], len(values)) + told.ljust(4, b"\0")
    head = (b"II*\0" if packing == "<" else b"MM\0*") + struct.pack(f"{packing}I", 8)
    return head + struct.pack(f"{packing}H", len(tags)) + fields + bytes(4) + values_behind + b"".join(contents)


def packed(samples: NDArray[Any], bits: int, order: str = ">") -> bytes:
    """Row by row, each of whole bytes."""
    rows = samples.reshape(len(samples), -1)
    if bits >= 8:
        return rows.astype(f"{order}{'i' if (rows < 0).any() else 'u'}{bits // 8}").tobytes()
    places = np.arange(bits - 1, -1, -1)
    return np.packbits((rows[..., None] >> places & 1).reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()


def png(samples: NDArray[Any], bits: int, clear: Sequence[int] = ()) -> bytes:
    """clear: of grey or colours, those that stand for nothing."""
    height, width, channels = samples.shape
    rows = packed(samples, bits)
    size = len(rows) // height
    lines = b"".join(b"\0" + rows[first : first + size] for first in range(0, len(rows), size))
    head = struct.pack(">IIBBBBB", width, height, bits, {1: 0, 3: 2}[channels], 0, 0, 0)
    found = [(b"IHDR", head), (b"tRNS", struct.pack(f">{len(clear)}H", *clear)), (b"IDAT", zlib.compress(lines))]
    chunks = [(kind, content) for kind, content in [*found, (b"IEND", b"")] if content or kind == b"IEND"]
    told = [
        struct.pack(">I", len(each)) + kind + each + struct.pack(">I", zlib.crc32(kind + each)) for kind, each in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(told)


def random(bits: int, channels: int) -> NDArray[Any]:
    samples = RNG.integers(0, 1 << bits, (HEIGHT, WIDTH, channels))
    samples[0, 0] = (1 << bits) - 1
    return samples


def in_eight(samples: NDArray[Any], bits: int) -> NDArray[Any]:
    return samples >> bits - 8 if bits >= 8 else samples * 255 // ((1 << bits) - 1)


def expected(samples: NDArray[Any], bits: int, photometric: int, extra: Sequence[int]) -> NDArray[Any]:
    shown = samples.shape[2] - len(extra)
    colours = samples[..., :shown]
    colours = (1 << bits) - 1 - colours if photometric == WHITE_ZERO else colours
    rgb = np.broadcast_to(in_eight(colours, bits), (*samples.shape[:2], 3)).astype(float)
    if extra and extra[0] != UNNAMED:
        share = in_eight(samples[..., shown : shown + 1], bits) / 255
        rgb = rgb * (share if extra[0] == ALPHA else 1) + 255 * (1 - share)
    return rgb.clip(0, 255)


KINDS = [
    *((bits, GREY, ()) for bits in (1, 2, 4, 8, 16)),
    *((bits, WHITE_ZERO, ()) for bits in (1, 2, 4, 8, 16)),
    *((8, GREY, (each,)) for each in (UNNAMED, PREMULTIPLIED, ALPHA)),
    *((bits, COLOURS, extra) for bits in (8, 16) for extra in ((), (UNNAMED,), (PREMULTIPLIED,), (ALPHA,))),
]


def by_rows(data: bytes) -> NDArray[np.uint8]:
    source = open_rows(data, bit_depth=None)
    rows = source.read(source.height)
    source.notices()
    return rows


@pytest.mark.parametrize(("bits", "photometric", "extra"), KINDS)
@pytest.mark.parametrize("packing", ["<", ">"])
@pytest.mark.parametrize("planes", [False, True])
def test_every_kind_of_tiff_shows_what_it_stores_whole_and_by_rows(
    bits: int, photometric: int, extra: tuple[int, ...], packing: str, *, planes: bool
) -> None:
    if packing == ">" and photometric == WHITE_ZERO and bits == 16:
        pytest.skip("Pillow does not open it")
    pytest.importorskip("pyvips", reason="not tested: pictures by rows")
    samples = random(bits, (3 if photometric == COLOURS else 1) + len(extra))
    data = tiff(samples, bits, photometric, extra, packing, planes=planes)
    wanted = expected(samples, bits, photometric, extra)
    reads = {"whole": lambda: read_picture(data, max_pixels=10_000).pixels, "by rows": lambda: by_rows(data)}
    for way in told_as_unread(bits, photometric, extra) if planes else ():
        with pytest.raises((UnsupportedImage, ImageTooLarge), match="in planes"):
            reads.pop(way)()
    for read in reads.values():
        assert np.abs(read() - wanted).max() <= 2  # what is premultiplied has lost the rest


@pytest.mark.parametrize("packing", ["<", ">"])
def test_samples_with_a_sign_are_as_bright_as_those_without(packing: str) -> None:
    samples = random(15, 1)
    data = tiff(samples, 16, GREY, (), packing, signed=True)
    assert np.array_equal(read_picture(data, max_pixels=10_000).pixels[..., :1], samples >> 7)
    assert np.array_equal(read_picture(data, max_pixels=10_000, bit_depth=16).pixels[..., :1], samples >> 8)
    (notice,) = read_picture(tiff(samples >> 4, 16, GREY, (), packing, signed=True), max_pixels=10_000).notices
    assert notice.code == "low_bit_depth"
    with pytest.raises(UnsupportedImage, match=r"must be 0..65535, the picture has -1\.\."):
        read_picture(tiff(samples - 1 - samples.min(), 16, GREY, (), packing, signed=True), max_pixels=10_000)


@pytest.mark.parametrize("deflated", [False, True])
def test_inks_in_planes_are_read_or_told_as_unread(*, deflated: bool) -> None:
    data = tiff(random(16, 4), 16, INKS, planes=True, deflated=deflated)
    with pytest.raises(UnsupportedImage, match="in planes of 16 bits is read where it is RGB; this one is CMYK"):
        read_picture(data, max_pixels=10_000)
    read_picture(tiff(random(8, 4), 8, INKS, planes=True, deflated=deflated), max_pixels=10_000)


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize(
    ("bits", "photometric", "channels", "signed"),
    [
        *[(8, GREY, 5, False), (8, GREY, 2, True), (8, WHITE_ZERO, 2, False), (16, GREY, 2, False)],
        *[(16, GREY, 4, False), (2, PALETTE, 2, False), (4, PALETTE, 3, False)],
    ],
)
def test_the_first_of_several_bands_in_planes_is_not_taken_for_the_picture(
    bits: int, photometric: int, channels: int, *, signed: bool, deflated: bool
) -> None:
    unnamed = [UNNAMED] * (channels - 1)
    samples = random(bits, channels)
    data = tiff(samples, bits, photometric, unnamed, planes=True, deflated=deflated, signed=signed)
    with pytest.raises(UnsupportedImage, match=r"a TIFF with samples of .*, in planes, is not read"):
        read_picture(data, max_pixels=10_000)


def test_colours_that_libvips_takes_for_others_are_not_read_by_rows() -> None:
    pytest.importorskip("pyvips", reason="not tested: pictures by rows")
    picture = Image.fromarray(random(8, 3).astype(np.uint8)).convert("YCbCr")
    with pytest.raises(ImageTooLarge, match="a TIFF in YCbCr is read by rows where it is packed as JPEG"):
        by_rows(encoded_as(picture, "raw"))
    rgb = Image.fromarray(np.full((HEIGHT, WIDTH, 3), (200, 90, 30), np.uint8))
    assert np.abs(by_rows(encoded_as(rgb, "jpeg")).astype(int) - np.asarray(rgb)).max() <= 4


def test_what_libvips_cannot_unpack_is_not_called_damaged() -> None:
    pytest.importorskip("pyvips", reason="not tested: pictures by rows")
    rgb = random(8, 3).astype(np.uint8)
    with suppress(UnsupportedImage):  # some builds of libvips know no LZMA, and none may call it damage
        assert np.array_equal(by_rows(encoded_as(Image.fromarray(rgb), "lzma")), rgb)


def encoded_as(picture: Image.Image, packing: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, "tiff", compression=packing)
    return file.getvalue()


def told_as_unread(bits: int, photometric: int, extra: tuple[int, ...]) -> Sequence[str]:
    """The ways in which such samples in planes are not read."""
    is_clear = any(extra) and (photometric == GREY or PREMULTIPLIED in extra)
    by_rows_not = bits < 8 or is_clear or (photometric == GREY and extra)
    return [*(["whole"] if is_clear else []), *(["by rows"] if by_rows_not else [])]


@pytest.mark.parametrize("packing", ["<", ">"])
@pytest.mark.parametrize("planes", [False, True])
def test_the_lower_bits_of_colours_are_read_where_the_upper_are_not_filled(packing: str, *, planes: bool) -> None:
    samples = random(12, 3)
    data = tiff(samples, 16, COLOURS, packing=packing, planes=planes)
    read = read_picture(data, max_pixels=10_000, bit_depth=12)
    np.testing.assert_array_equal(read.pixels, in_eight(samples, 12))


def test_grey_of_which_0_is_white_may_fill_fewer_bits_whole_and_by_rows() -> None:
    pytest.importorskip("pyvips", reason="not tested: pictures by rows")
    samples = random(12, 1)
    data = tiff(samples, 16, WHITE_ZERO)
    whole, rows = read_picture(data, max_pixels=10_000), open_rows(data, bit_depth=None)
    assert np.array_equal(rows.read(HEIGHT), whole.pixels)
    assert [each.code for each in rows.notices()] == [each.code for each in whole.notices] == ["low_bit_depth"]
    rows = open_rows(data, bit_depth=12)
    wanted = (255 - in_eight(samples, 12)).repeat(3, axis=2)
    assert np.array_equal(rows.read(HEIGHT), wanted)
    assert rows.notices() == ()
    assert np.array_equal(read_picture(data, max_pixels=10_000, bit_depth=12).pixels, wanted)


def test_inks_that_fill_fewer_of_16_bits_are_told_of_and_no_depth_is_passed_over() -> None:
    samples = random(12, 4)
    data = tiff(samples, 16, INKS)
    assert [each.code for each in read_picture(data, max_pixels=10_000).notices] == ["low_bit_depth"]
    with pytest.raises(UnsupportedImage, match="of CMYK in 16 bits only the upper 8 are read"):
        read_picture(data, max_pixels=10_000, bit_depth=12)
    black = samples * 16 * [0, 0, 0, 1]  # the other inks are empty
    for depth in (None, 16):
        assert read_picture(tiff(black, 16, INKS), max_pixels=10_000, bit_depth=depth).notices == ()


def test_samples_that_are_not_read_are_told_and_not_called_damaged() -> None:
    for samples, bits, kind in ((random(16, 3), 16, GREY), (random(8, 5), 8, GREY)):
        with pytest.raises(UnsupportedImage, match=f"samples of {bits}, .* PhotometricInterpretation 1 is not read"):
            read_picture(tiff(samples, bits, kind), max_pixels=10_000)


def test_packed_planes_of_which_lower_bits_are_asked_for_are_refused() -> None:
    data = tiff(random(12, 3), 16, COLOURS, planes=True, deflated=True)
    assert read_picture(data, max_pixels=10_000).pixels.max() == 15
    with pytest.raises(UnsupportedImage, match="packed planes"):
        read_picture(data, max_pixels=10_000, bit_depth=12)


@pytest.mark.parametrize("read", [read_picture, decode_mask])
def test_a_tiff_of_fewer_strips_than_it_has_rows_is_damaged(read: Callable[..., object]) -> None:
    """What they lack was black, and of a mask the class 0."""
    whole, told = tiff(random(8, 1), 8, GREY), struct.pack("<HHI", 278, 3, 1)
    fewer = whole.replace(told + struct.pack("<H", HEIGHT), told + struct.pack("<H", HEIGHT // 2))
    with pytest.raises(UnreadableImage, match="it has 1 of 2 strips or tiles"):
        read(fewer, max_pixels=10_000)


@pytest.mark.parametrize("deflated", [False, True])
def test_a_tiff_that_leaves_out_empty_pieces_is_refused(*, deflated: bool) -> None:
    """Its own head was taken for the pixels of these."""
    data = tiff(random(8, 3), 8, COLOURS, planes=True, deflated=deflated)
    last = TiffImageFile(io.BytesIO(data)).tag_v2[273][-1]
    sparse = data.replace(struct.pack("<I", last), bytes(4))
    assert TiffImageFile(io.BytesIO(sparse)).tag_v2[273][-1] == 0
    with pytest.raises(UnsupportedImage, match="leaves out pieces that are empty"):
        read_picture(sparse, max_pixels=10_000)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_the_grey_that_stands_for_nothing_is_white(bits: int) -> None:
    samples = random(bits, 1)
    clear = int(samples[3, 3, 0])
    wanted = np.where(samples == clear, 255, in_eight(samples, bits)).repeat(3, axis=2)
    np.testing.assert_array_equal(read_picture(png(samples, bits, [clear]), max_pixels=10_000).pixels, wanted)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("filled", [None, 12])
def test_the_colour_that_stands_for_nothing_is_white(bits: int, filled: int | None) -> None:
    if filled is not None and bits == 8:
        pytest.skip("of samples in 16 bits alone")
    samples = random(filled or bits, 3)
    samples[4, 4] = samples[3, 3] ^ [1, 0, 0]  # another colour, by its lowest bit
    clear = samples[3, 3].tolist()
    read = read_picture(png(samples, bits, clear), max_pixels=10_000, bit_depth=filled)
    wanted = np.where((samples == clear).all(axis=2)[..., None], 255, in_eight(samples, filled or bits))
    np.testing.assert_array_equal(read.pixels, wanted)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_ids_are_the_samples_of_a_grey_file_however_many_bits_they_have(bits: int) -> None:
    ids = random(min(bits, 8), 1)
    for data in (tiff(ids, bits, GREY), tiff(ids, bits, GREY, planes=True), png(ids, bits)):
        np.testing.assert_array_equal(decode_mask(data, max_pixels=10_000), ids[..., 0])


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_mask_stored_as_its_negative_has_no_certain_ids(bits: int) -> None:
    with pytest.raises(MaskMismatch, match="white is 0"):
        decode_mask(tiff(random(bits, 1), bits, WHITE_ZERO), max_pixels=10_000)


@pytest.mark.parametrize(("kind", "options"), [("AVIF", {}), ("TIFF", {"compression": "jpeg"})])
def test_a_mask_that_was_packed_with_losses_is_refused(kind: str, options: dict[str, Any]) -> None:
    file = io.BytesIO()
    Image.fromarray(random(5, 1)[..., 0].astype(np.uint8)).save(file, kind, **options)
    with pytest.raises(MaskMismatch, match="does not keep class ids"):
        decode_mask(file.getvalue(), max_pixels=10_000)


def test_a_mask_as_heic_is_refused() -> None:
    heif = pytest.importorskip("pillow_heif", reason="not tested: HEIC")
    file = io.BytesIO()
    heif.from_pillow(Image.fromarray(random(5, 1)[..., 0].astype(np.uint8))).save(file, quality=-1)
    with pytest.raises(MaskMismatch, match="HEIC does not keep class ids"):
        decode_mask(file.getvalue(), max_pixels=10_000)
