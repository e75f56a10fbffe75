"""Bytes to RGB pixels: every kind of picture that people send, and what is said of the rest."""

import io
import random
import struct
import warnings
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from segmentation.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from segmentation.picture_files.pictures import decode_mask, decode_picture, sniff_media_type

ORIENTATION = 0x0112
RGB = np.random.default_rng(8).integers(0, 256, (6, 9, 3)).astype(np.uint8)
ROTATED = Image.Exif()
ROTATED[ORIENTATION] = 6  # the camera was turned: the first row is the right side
KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes) -> NDArray[np.uint8]:
    return decode_picture(data, max_pixels=10_000)


def png_without_pixels(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
        + b"\x00\x00\x10\x00IDAT"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_usual_formats_are_told_by_their_first_bytes(kind: str) -> None:
    data = saved(Image.fromarray(RGB), kind)
    assert sniff_media_type(data[:16]) == f"image/{kind.lower()}"


@pytest.mark.parametrize("head", [b"", b"BA", b"GIF88a", b"RIFF\x00\x00\x00\x00WAVEfmt ", b"<html>", b"PK\x03\x04"])
def test_other_bytes_have_no_media_type(head: bytes) -> None:
    assert sniff_media_type(head) is None


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("BMP", {}), ("JPEG2000", {})]
)
def test_lossless_pictures_are_read_to_the_last_bit(kind: str, options: dict[str, Any]) -> None:
    assert np.array_equal(decoded(saved(Image.fromarray(RGB), kind, **options)), RGB)


def test_a_jpeg_is_read_as_rgb() -> None:
    plain = np.full((16, 24, 3), (200, 30, 60), dtype=np.uint8)
    picture = decoded(saved(Image.fromarray(plain), "JPEG", quality=95))
    assert picture.shape == (16, 24, 3)
    assert np.abs(picture.astype(int) - plain).max() <= 3


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_a_picture_is_turned_upright(kind: str, options: dict[str, Any]) -> None:
    data = saved(Image.fromarray(RGB), kind, exif=ROTATED, **options)
    assert np.array_equal(decoded(data), np.rot90(RGB, k=-1))


def test_a_jpeg_from_a_turned_camera_is_turned_upright() -> None:
    assert decoded(saved(Image.fromarray(RGB), "JPEG", exif=ROTATED)).shape == (9, 6, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
def test_damaged_exif_data_is_no_reason_to_refuse_a_picture() -> None:
    data = saved(Image.fromarray(RGB), "PNG", exif=b"Exif\x00\x00garbage and more garbage")
    assert np.array_equal(decoded(data), RGB)


def test_grey_becomes_three_equal_channels() -> None:
    grey = RGB[:, :, 0]
    assert np.array_equal(decoded(saved(Image.fromarray(grey), "PNG")), np.stack([grey] * 3, axis=2))


def test_black_and_white_becomes_0_and_255() -> None:
    bits = Image.fromarray(RGB[:, :, 0] > 127)
    assert np.array_equal(decoded(saved(bits, "TIFF"))[:, :, 1], np.where(RGB[:, :, 0] > 127, 255, 0))


def test_a_palette_becomes_its_colours() -> None:
    indexed = Image.fromarray(RGB).quantize(8)
    assert np.array_equal(decoded(saved(indexed, "PNG")), np.asarray(indexed.convert("RGB")))


def test_cmyk_becomes_rgb() -> None:
    plain = Image.new("RGB", (16, 16), (250, 10, 20))
    assert decoded(saved(plain.convert("CMYK"), "JPEG", quality=95))[8, 8] == pytest.approx((250, 10, 20), abs=4)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_keep_their_upper_8(kind: str) -> None:
    values = np.array([[0, 255, 256, 0x1234, 0xFFFF]], dtype=np.uint16)
    assert decoded(saved(Image.fromarray(values), kind))[0, :, 0].tolist() == [0, 0, 1, 0x12, 0xFF]


def test_whole_numbers_that_fit_16_bits_are_read_and_larger_ones_are_not() -> None:
    values = np.array([[0, 0x1234, 0xFFFF]], dtype=np.int32)
    assert decoded(saved(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == [0, 0x12, 0xFF]
    with pytest.raises(UnsupportedImage, match=r"grey values must be 0\.\.65535, the picture has 0\.\.131070"):
        decoded(saved(Image.fromarray(values * 2), "TIFF"))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_laid_over_white(kind: str) -> None:
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0] = (200, 0, 0, 255)
    pixels[1, 1] = (0, 0, 0, 128)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    picture = decoded(saved(Image.fromarray(pixels), kind, **options))
    assert picture.tolist() == [[[200, 0, 0]] * 2, [[255] * 3, [127] * 3]]


def test_grey_with_transparency_is_laid_over_white() -> None:
    pixels = Image.merge("LA", [Image.new("L", (1, 1), 7), Image.new("L", (1, 1), 0)])
    assert decoded(saved(pixels, "PNG")).tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize("mode", ["P", "RGB", "L"])
def test_a_transparent_colour_is_laid_over_white(mode: str) -> None:
    picture = Image.new(mode, (2, 1), 0)
    picture.putpixel((1, 0), (9, 9, 9) if mode == "RGB" else 9)
    data = saved(picture, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert decoded(data)[0, 0].tolist() == [255, 255, 255]
    assert decoded(data)[0, 1].tolist() != [255, 255, 255]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_read(kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((10, 20, 30), (200, 100, 0))]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert decoded(data)[0, 0].tolist() == [10, 20, 30]


def test_of_a_multi_picture_jpeg_the_first_picture_is_read() -> None:
    views = [Image.new("RGB", (16, 16), colour) for colour in ((10, 20, 30), (200, 100, 0))]
    data = saved(views[0], "MPO", save_all=True, append_images=views[1:])
    assert decoded(data)[0, 0] == pytest.approx((10, 20, 30), abs=3)


def test_as_many_pixels_as_allowed_are_read_and_one_more_is_refused() -> None:
    data = saved(Image.fromarray(RGB), "PNG")
    assert decode_picture(data, max_pixels=54).shape == (6, 9, 3)
    with pytest.raises(ImageTooLarge, match="9×6 is 54 pixels, allowed are 53"):
        decode_picture(data, max_pixels=53)


def test_the_size_is_checked_before_the_pixels_are_decoded() -> None:
    with pytest.raises(ImageTooLarge, match="60000×50000"):
        decoded(png_without_pixels(60_000, 50_000))


def test_a_webp_of_the_largest_size_is_too_large_and_not_damaged() -> None:
    stream = b"\x2f" + struct.pack("<I", 16_382 | 16_382 << 14) + bytes(21)
    chunk = b"WEBPVP8L" + struct.pack("<I", len(stream)) + stream
    with pytest.raises(ImageTooLarge):
        decode_picture(b"RIFF" + struct.pack("<I", len(chunk)) + chunk, max_pixels=10**6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_off_picture_is_unreadable(kind: str) -> None:
    data = saved(Image.fromarray(RGB), kind)
    with pytest.raises(UnreadableImage, match=f"(?i)the {kind} is damaged") as caught:
        decoded(data[: len(data) // 2])
    assert caught.value.code == "unreadable_image"


def test_an_empty_file_is_unreadable() -> None:
    with pytest.raises(UnreadableImage, match="the file is empty"):
        decoded(b"")


def test_what_is_no_picture_is_unreadable() -> None:
    with pytest.raises(
        UnreadableImage, match="the file is no JPEG, PNG, WebP, TIFF, BMP, AVIF, GIF, HEIC or JPEG 2000"
    ):
        decoded(b"To whom it may concern")


def test_a_picture_whose_palette_is_missing_is_damaged() -> None:
    buffer = io.BytesIO()
    Image.new("P", (8, 8)).save(buffer, "PNG")
    data = buffer.getvalue()
    start = data.index(b"PLTE") - 4
    without = data[:start] + data[start + 12 + int.from_bytes(data[start : start + 4], "big") :]
    with pytest.raises(UnreadableImage, match="the PNG is damaged: its palette is missing"):
        decoded(without)


def test_a_film_among_pictures_is_told_how_films_are_sent() -> None:
    with pytest.raises(UnsupportedImage, match="not supported here: a film is sent as a file, an upload or in an arch"):
        decoded(b"\x00\x00\x00\x20ftypisom" + bytes(50))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
    ],
)
def test_a_picture_of_another_format_is_unsupported(head: bytes, name: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"{name} is not supported; send JPEG") as caught:
        decoded(head + bytes(50))
    assert caught.value.code == "unsupported_image"


@pytest.mark.parametrize("mode", ["F", "LAB"])
def test_pixels_that_are_no_colours_are_unsupported(mode: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"pixels of the kind {mode} are not supported"):
        decoded(saved(Image.new(mode, (2, 2)), "TIFF"))


def test_grey_of_8_bits_with_a_sign_is_unsupported_whose_negatives_would_be_bright() -> None:
    with pytest.raises(UnsupportedImage, match="grey in 8 bits with a sign is not supported"):
        decoded(saved(Image.new("L", (2, 2), 255), "TIFF", tiffinfo={TiffImagePlugin.SAMPLEFORMAT: 2}))


def test_why_colours_with_a_sign_are_unsupported_is_told() -> None:
    signs = {TiffImagePlugin.SAMPLEFORMAT: (2, 2, 2)}
    with pytest.raises(UnsupportedImage, match="samples of 8, 8, 8 bits with a sign and"):
        decoded(saved(Image.new("RGB", (2, 2)), "TIFF", tiffinfo=signs))


@pytest.mark.parametrize("kind", [*KINDS, "MPO", "JPEG2000"])
def test_damage_of_any_kind_ends_in_one_of_our_errors_or_in_a_picture(kind: str) -> None:
    sound = saved(Image.fromarray(RGB).resize((40, 30)), kind, **({} if kind == "BMP" else {"exif": ROTATED}))
    dice = random.Random(11)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of what it could mend
        for _ in range(300):
            data = bytearray(sound)
            for _ in range(dice.choice((1, 2, 10))):
                data[dice.randrange(min(len(data), dice.choice((60, 400))))] = dice.randrange(256)
            with suppress(UnreadableImage, UnsupportedImage, ImageTooLarge):
                assert decoded(bytes(data)).ndim == 3


def test_one_wrong_bit_in_the_pixels_of_a_png_is_damage() -> None:
    """Of a mask one in five left a sound file of other ids."""
    mask = np.kron(RGB[:, :, 0] // 30, np.ones((9, 9), np.uint8))
    sound = saved(Image.fromarray(mask), "PNG")
    assert (decode_mask(sound, max_pixels=10_000) == mask).all()
    begin, end = sound.index(b"IDAT") + 4, sound.index(b"IEND") - 8
    for bit in range(8 * begin, 8 * end, 3):
        data = bytearray(sound)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(UnreadableImage, match="the PNG is damaged"):
            decode_mask(bytes(data), max_pixels=10_000)


def png_of_rows(colours: int, depth: int, laced: int, *, missing: int) -> bytes:
    """37×20 pixels, without the last `missing` of the bytes that are packed."""
    header = struct.pack(">IIBBBBB", 37, 20, depth, colours, 0, 0, laced)
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours]
    passes = [(5, 3), (5, 3), (10, 2), (9, 5), (19, 5), (18, 10), (37, 10)] if laced else [(37, 20)]
    rows = b"".join((b"\0" + b"\x11" * -(-columns * samples * depth // 8)) * rows for columns, rows in passes)
    contents = {b"IHDR": header, b"PLTE": bytes(48), b"IDAT": zlib.compress(rows[: len(rows) - missing]), b"IEND": b""}
    chunks = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in contents.items()
        if kind != b"PLTE" or colours == 3
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("laced", [0, 1])
@pytest.mark.parametrize(("colours", "depth"), [(0, 1), (0, 16), (2, 8), (2, 16), (3, 2), (3, 4), (4, 8), (6, 8)])
def test_a_png_whose_packed_pixels_end_too_early_is_damage(colours: int, depth: int, laced: int) -> None:
    """Packed as they should be, with the right sums: Pillow leaves the rest black."""
    assert decoded(png_of_rows(colours, depth, laced, missing=0)).shape == (20, 37, 3)
    for missing in (1, 39, 120):
        with pytest.raises(UnreadableImage, match="the PNG is damaged"):
            decoded(png_of_rows(colours, depth, laced, missing=missing))
