"""Pictures as cameras, converters and cut-off downloads leave them: all that can be read is read, and what is told."""

import io
import re
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from segmentation.errors import ImageTooLarge, MaskMismatch, UnreadableImage, UnsupportedImage
from segmentation.picture_files import pictures
from segmentation.picture_files.pictures import decode_mask, decode_picture, read_picture, sniff_media_type

RNG = np.random.default_rng(5)
RGB = RNG.integers(0, 256, (24, 40, 3)).astype(np.uint8)
SMOOTH = np.asarray(Image.fromarray(RGB[:3, :5]).resize((40, 24), Image.Resampling.BICUBIC))
GREY12 = RNG.integers(0, 4096, (24, 40)).astype(np.uint16)
GREY12[0, 0] = 4095


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def codes(data: bytes, **options: Any) -> list[str]:
    return [each.code for each in read_picture(data, max_pixels=10_000, **options).notices]


def pixels(data: bytes, **options: Any) -> NDArray[np.uint8]:
    return read_picture(data, max_pixels=10_000, **options).pixels


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def after_header(png: bytes, *chunks: bytes) -> bytes:
    return png[:33] + b"".join(chunks) + png[33:]


def deep_png(values: NDArray[Any], *, significant: int | None = None) -> bytes:
    """(H, W, C) or (H, W) of 16 bits, which Pillow cannot write for colours."""
    height, width = values.shape[:2]
    colour = {2: 0, 3: {2: 4, 3: 2, 4: 6}.get(values.shape[-1], 0)}[values.ndim]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    marks = [] if significant is None else [chunk(b"sBIT", bytes([significant] * (values.size // (height * width))))]
    head = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", head), *marks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


class TestTruncatedTail:
    @pytest.mark.parametrize("cut", [1, 2])
    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}, {"restart_marker_rows": 1}])
    def test_a_jpeg_without_its_end_mark_is_read_and_told(self, cut: int, options: dict[str, Any]) -> None:
        whole = saved(Image.fromarray(SMOOTH), "JPEG", quality=95, **options)
        read = read_picture(whole[:-cut], max_pixels=10_000)
        assert np.array_equal(read.pixels, decode_picture(whole, max_pixels=10_000))
        assert [each.code for each in read.notices] == ["truncated_tail"]

    def test_a_whole_jpeg_has_nothing_to_tell(self) -> None:
        assert codes(saved(Image.fromarray(SMOOTH), "JPEG") + bytes(500)) == []

    @pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
    @pytest.mark.parametrize("options", [{}, {"progressive": True}])
    def test_a_jpeg_that_lacks_pixels_is_damaged(self, share: float, options: dict[str, Any]) -> None:
        whole = saved(Image.fromarray(RGB), "JPEG", quality=95, **options)
        with pytest.raises(UnreadableImage, match="the JPEG is damaged"):
            pixels(whole[: int(len(whole) * share)])

    def test_a_jpeg_that_lacks_the_last_bytes_of_its_pixels_is_damaged(self) -> None:
        with pytest.raises(UnreadableImage):
            pixels(saved(Image.fromarray(RGB), "JPEG", quality=95)[:-9])

    def test_a_progressive_jpeg_that_lacks_scans_is_damaged(self) -> None:
        whole = saved(Image.fromarray(SMOOTH), "JPEG", quality=95, progressive=True)
        begins = [found.start() for found in re.finditer(rb"\xff[\xc4\xda]", whole)]
        scans = [found.start() for found in re.finditer(rb"\xff\xda", whole)]
        ends = [min(each for each in begins if each > scan) for scan in scans[:-1]]
        assert len(ends) > 4
        for cut in (whole[:end] + mark for end in ends for mark in (b"", b"\xff\xd9")):
            with pytest.raises(UnreadableImage, match="the JPEG is damaged"):
                pixels(cut)

    @pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
    @pytest.mark.parametrize("share", [0.5, 0.9])
    def test_a_jpeg_that_lacks_pixels_before_its_end_mark_is_damaged(self, mode: str, share: float) -> None:
        whole = saved(Image.fromarray(RGB).convert(mode), "JPEG", quality=95)
        with pytest.raises(UnreadableImage, match="premature end of data"):
            pixels(whole[: int(len(whole) * share)] + b"\xff\xd9")

    def test_a_jpeg_that_is_damaged_in_its_middle_is_told(self) -> None:
        whole = saved(Image.fromarray(RGB), "JPEG", quality=95)
        again = whole[:-9] + b"\x15\x9a\x33\x01" * 12 + whole[-9:]
        assert codes(again) == ["damaged_data"]

    def test_a_png_without_its_end_is_read_and_told(self) -> None:
        png = saved(Image.fromarray(RGB), "PNG")
        assert np.array_equal(pixels(png[:-12]), RGB)
        assert codes(png[:-12]) == ["truncated_tail"]
        assert codes(png) == []


class TestKinds:
    def test_avif_is_read(self) -> None:
        data = saved(Image.fromarray(SMOOTH), "AVIF", quality=90)
        assert sniff_media_type(data[:64]) == "image/avif"
        assert np.abs(pixels(data).astype(int) - SMOOTH).mean() < 8

    def test_heic_is_read_where_its_package_is(self) -> None:
        heif = pytest.importorskip("pillow_heif", reason="not tested: HEIC")
        file = io.BytesIO()
        heif.from_pillow(Image.fromarray(SMOOTH)).save(file, quality=90)
        assert sniff_media_type(file.getvalue()[:64]) == "image/heic"
        assert np.abs(pixels(file.getvalue()).astype(int) - SMOOTH).mean() < 8

    def test_heic_without_its_package_is_unsupported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(UnsupportedImage, match="where the package pillow-heif is installed"):
            pixels(b"\x00\x00\x00\x18ftypheic" + bytes(64))

    @pytest.mark.parametrize("bare", [False, True])
    def test_jpeg_2000_is_read_in_its_box_and_without(self, bare: bool) -> None:
        data = saved(Image.fromarray(RGB), "JPEG2000", no_jp2=bare)
        assert sniff_media_type(data[:64]) == "image/jp2"
        np.testing.assert_array_equal(pixels(data), RGB)
        with pytest.raises(UnreadableImage, match="the JPEG 2000 is damaged"):
            pixels(data[: len(data) // 2])

    def test_of_deep_jpeg_2000_the_upper_bits_are_read(self) -> None:
        deep = np.linspace(0, 65535, 24 * 40).astype(np.uint16).reshape(24, 40)
        np.testing.assert_array_equal(pixels(saved(Image.fromarray(deep), "JPEG2000"))[..., 0], deep >> 8)

    def test_jpeg_2000_without_its_decoder_is_unsupported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("PIL.features.check_codec", lambda name: False)
        with pytest.raises(UnsupportedImage, match="where Pillow comes with OpenJPEG"):
            pixels(saved(Image.fromarray(RGB), "JPEG2000"))

    @pytest.mark.parametrize("kind", ["JPEG", "JPEG2000"])
    def test_what_may_be_lossy_is_no_mask(self, kind: str) -> None:
        with pytest.raises(MaskMismatch, match="does not keep class ids"):
            decode_mask(saved(Image.fromarray(RGB[..., 0]), kind), max_pixels=10_000)

    def test_a_brand_beside_the_first_tells_avif_from_heic(self) -> None:
        assert sniff_media_type(b"\x00\x00\x00\x1cftypmif1\0\0\0\0miafavif" + bytes(9)) == "image/avif"
        assert sniff_media_type(b"\x00\x00\x00\x18ftypmif1\0\0\0\0miafavif"[:20]) == "image/heic"

    def test_a_preview_is_not_taken_for_the_photograph(self) -> None:
        """A DNG's first picture is a small one; what the camera saw lies behind it, or in a directory of its own."""
        reduced, full = ImageFileDirectory_v2(), Image.fromarray(RGB)
        reduced[254] = 1
        assert np.array_equal(pixels(saved(full, "TIFF", tiffinfo=reduced)), RGB)  # nothing else is in it
        followed = saved(full, "TIFF", tiffinfo=reduced, save_all=True, append_images=[full])
        reduced.tagtype[330], reduced[330] = 4, (8,)
        for data in (followed, saved(full, "TIFF", tiffinfo=reduced)):
            with pytest.raises(UnsupportedImage, match="begins with a preview of another picture"):
                pixels(data)

    def test_of_a_gif_the_first_frame_is_read(self) -> None:
        frames = [Image.new("RGB", (4, 3), colour) for colour in ((10, 20, 30), (200, 100, 0))]
        data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
        assert sniff_media_type(data[:64]) == "image/gif"
        assert np.unique(pixels(data).reshape(-1, 3), axis=0).tolist() == [[10, 20, 30]]

    @pytest.mark.parametrize("kind", ["AVIF", "GIF"])
    def test_a_cut_off_file_is_damaged(self, kind: str) -> None:
        data = saved(Image.fromarray(SMOOTH), kind)
        with pytest.raises(UnreadableImage, match=f"the {kind} is damaged"):
            pixels(data[: len(data) // 2])

    @pytest.mark.parametrize(
        ("kind", "options"),
        [("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("GIF", {}), ("AVIF", {})],
    )
    def test_the_limit_of_pixels_is_ours_and_not_the_process_wide_one(
        self, kind: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = saved(Image.fromarray(RGB), kind, **options)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        assert pixels(data).shape == RGB.shape
        with pytest.raises(ImageTooLarge, match="40×24 is 960 pixels, allowed are 959"):
            read_picture(data, max_pixels=959)

    def test_a_frame_that_leaves_the_screen_of_its_gif_is_held_against_the_limit_too(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = bytearray(saved(Image.fromarray(RGB), "GIF"))
        data[6:10] = struct.pack("<HH", 1, 1)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(ImageTooLarge):
            pixels(bytes(data))


class TestPngTexts:
    @pytest.mark.parametrize("packed", [True, False])
    def test_a_large_text_is_passed_over(self, packed: bool) -> None:
        info = PngImagePlugin.PngInfo()
        info.add_text("xmp", "a" * 2_000_000, zip=packed)
        info.add_itxt("more", "b" * 2_000_000, "de", "mehr", zip=packed)
        assert np.array_equal(pixels(saved(Image.fromarray(RGB), "PNG", pnginfo=info)), RGB)

    def test_a_large_colour_profile_is_passed_over(self) -> None:
        assert np.array_equal(pixels(saved(Image.fromarray(RGB), "PNG", icc_profile=bytes(3_000_000))), RGB)

    def test_many_texts_that_are_large_together_are_passed_over(self) -> None:
        text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000)))
        assert np.array_equal(pixels(after_header(saved(Image.fromarray(RGB), "PNG"), *[text] * 70)), RGB)

    def test_a_mask_with_a_large_text_is_read_too(self) -> None:
        info = PngImagePlugin.PngInfo()
        info.add_text("xmp", "a" * 2_000_000, zip=True)
        assert np.array_equal(
            decode_mask(saved(Image.fromarray(RGB[..., 0]), "PNG", pnginfo=info), max_pixels=10_000), RGB[..., 0]
        )

    def test_what_is_small_is_kept_and_turns_the_picture(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        info = PngImagePlugin.PngInfo()
        info.add_text("xmp", "a" * 2_000_000, zip=True)
        data = saved(Image.fromarray(RGB), "PNG", pnginfo=info, exif=exif)
        assert np.array_equal(pixels(data), np.rot90(RGB, k=-1))

    def test_a_text_that_cannot_be_unpacked_does_no_harm(self) -> None:
        broken = chunk(b"zTXt", b"k\0\0 no zlib stream")
        assert np.array_equal(pixels(after_header(saved(Image.fromarray(RGB), "PNG"), broken)), RGB)


class TestBitDepth:
    def test_values_below_4096_are_told_of(self) -> None:
        for data in (deep_png(GREY12), saved(Image.fromarray(GREY12), "TIFF"), saved(Image.fromarray(GREY12), "PNG")):
            assert codes(data) == ["low_bit_depth"]
            assert pixels(data).max() == 15

    def test_values_that_fill_16_bits_are_not(self) -> None:
        assert codes(deep_png(GREY12 * 16)) == []
        assert codes(deep_png(np.dstack([GREY12 * 16] * 3))) == []

    @pytest.mark.parametrize("bits", [10, 12, 14])
    def test_the_option_is_obeyed_in_grey_and_colours(self, bits: int) -> None:
        values = GREY12 >> 2 if bits == 10 else GREY12 << (bits - 12)
        wanted = (values >> (bits - 8)).astype(np.uint8)
        tiff = saved(Image.fromarray(values), "TIFF")
        for data in (deep_png(values), tiff, deep_png(np.dstack([values, values, values]))):
            assert codes(data, bit_depth=bits) == []
            assert np.array_equal(pixels(data, bit_depth=bits), np.dstack([wanted] * 3))

    @pytest.mark.parametrize("kind", [np.uint16, np.int32])
    def test_samples_that_fill_8_of_many_bits_are_told_of_and_read_where_that_is_said(self, kind: type) -> None:
        values: NDArray[Any] = (GREY12 >> 4).astype(kind)
        data = saved(Image.fromarray(values), "TIFF")
        assert pixels(data).max() == 0
        (notice,) = read_picture(data, max_pixels=10**6).notices
        assert (notice.code, "all values lie below 256;" in notice.detail) == ("low_bit_depth", True)
        assert codes(data, bit_depth=8) == []
        assert np.array_equal(pixels(data, bit_depth=8), np.dstack([values] * 3))
        with pytest.raises(UnsupportedImage, match="bit_depth is 8, but there are values above 255"):
            pixels(saved(Image.fromarray(values + kind(1)), "TIFF"), bit_depth=8)

    def test_colours_that_fill_8_of_16_bits_are_read_where_that_is_said(self) -> None:
        values = np.dstack([GREY12 >> 4] * 3)
        assert np.array_equal(pixels(deep_png(values), bit_depth=8), values)

    def test_16_takes_the_values_as_they_are_without_a_word(self) -> None:
        assert codes(deep_png(GREY12), bit_depth=16) == []
        assert pixels(deep_png(GREY12), bit_depth=16).max() == 15

    def test_values_that_the_depth_cannot_hold_are_an_error_and_not_a_wrong_picture(self) -> None:
        with pytest.raises(UnsupportedImage, match="bit_depth is 10, but there are values above 1023"):
            pixels(deep_png(GREY12), bit_depth=10)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_what_png_says_of_its_significant_bits_is_believed(self, channels: int) -> None:
        values = GREY12 if channels == 1 else np.dstack([GREY12] * 3)
        data = deep_png(values, significant=12)
        assert codes(data) == []
        assert np.array_equal(pixels(data), np.dstack([(GREY12 >> 4).astype(np.uint8)] * 3))

    def test_a_png_that_was_stretched_to_16_bits_as_it_should_be_keeps_its_upper_8(self) -> None:
        stretched = GREY12 << 4 | GREY12 >> 8
        assert np.array_equal(pixels(deep_png(stretched, significant=12))[..., 0], (GREY12 >> 4).astype(np.uint8))

    def test_an_empty_mark_of_significant_bits_says_nothing(self) -> None:
        data = after_header(deep_png(GREY12), chunk(b"sBIT", b""))
        assert codes(data) == ["low_bit_depth"]

    def test_pictures_of_8_bits_do_not_mind_the_option(self) -> None:
        assert np.array_equal(pixels(saved(Image.fromarray(RGB), "PNG"), bit_depth=12), RGB)

    @pytest.mark.parametrize(("opaque", "bits"), [(4095, 12), (65535, 12), (65535, 16)])
    def test_transparency_may_fill_more_bits_than_the_colours(self, opaque: int, bits: int) -> None:
        colours = GREY12 if bits == 12 else GREY12 * 16
        values = np.dstack([colours, colours, colours, np.full_like(colours, opaque)])
        assert np.array_equal(
            pixels(deep_png(values), bit_depth=bits)[..., 0], (colours >> (bits - 8)).astype(np.uint8)
        )

    def test_colours_in_tiff_are_read_in_their_own_order_of_bytes(self) -> None:
        values = np.dstack([GREY12] * 3)
        for order, mark in (("<", b"II*\0"), (">", b"MM\0*")):
            data = deep_tiff(values, order, mark)
            assert codes(data) == ["low_bit_depth"]
            assert np.array_equal(pixels(data, bit_depth=12), (values >> 4).astype(np.uint8))

    def test_12_bits_packed_in_a_tiff_are_12_bits(self) -> None:
        first, second = GREY12.reshape(-1, 2).T
        packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype(np.uint8)
        data = tiff(GREY12[..., None], "<", b"II*\0", bits=12, data=packed.tobytes())
        assert codes(data) == []
        assert np.array_equal(pixels(data)[..., 1], (GREY12 >> 4).astype(np.uint8))

    def test_deep_grey_with_transparency_is_read_as_16_bits_only(self) -> None:
        values = np.dstack([GREY12, np.full_like(GREY12, 65535)])
        assert pixels(deep_png(values)).max() == 15
        with pytest.raises(UnsupportedImage, match="of LA in 16 bits only the upper 8 are read"):
            pixels(deep_png(values), bit_depth=12)


def deep_tiff(values: NDArray[np.uint16], order: str, mark: bytes) -> bytes:
    return tiff(values, order, mark, bits=16, data=values.astype(f"{order}u2").tobytes())


def tiff(values: NDArray[np.uint16], order: str, mark: bytes, *, bits: int, data: bytes) -> bytes:
    """One strip without compression; values: (H, W, 1) or (H, W, 3), of which the shape alone is taken."""
    height, width, channels = values.shape
    entries = [
        *((256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, bits if channels == 1 else 8), (259, 3, 1, 1)),
        *((262, 3, 1, 1 if channels == 1 else 2), (273, 4, 1, 512), (277, 3, 1, channels), (278, 3, 1, height)),
        (279, 4, 1, len(data)),
    ]
    head = mark + struct.pack(f"{order}I", 16) + struct.pack(f"{order}{channels}H", *[bits] * channels)
    tags = b"".join(
        struct.pack(f"{order}HHI{'H2x' if kind == 3 and count == 1 else 'I'}", tag, kind, count, value)
        for tag, kind, count, value in entries
    )
    file = head.ljust(16, b"\0") + struct.pack(f"{order}H", len(entries)) + tags + bytes(4)
    return file.ljust(512, b"\0") + data


class TestBands:
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_picture_in_bands_is_turned_upright_as_a_whole_one_is(
        self, orientation: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = saved(Image.fromarray(RGB), "PNG", exif=exif)
        with Image.open(io.BytesIO(data)) as picture:
            upright = np.asarray(ImageOps.exif_transpose(picture))
        assert np.array_equal(pixels(data), upright)
        monkeypatch.setattr(pictures, "_BAND_PIXELS", 280)
        assert np.array_equal(pixels(data), upright)

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "CMYK"])
    def test_every_kind_of_pixel_is_the_same_in_bands(self, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
        rgba = Image.fromarray(np.dstack([RGB, RGB[..., 0]]))
        data = saved(rgba.convert("RGB").convert(mode) if mode in ("P", "CMYK") else rgba.convert(mode), "TIFF")
        whole = pixels(data)
        monkeypatch.setattr(pictures, "_BAND_PIXELS", 280)
        assert np.array_equal(pixels(data), whole)

    def test_deep_pixels_are_the_same_in_bands(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = deep_png(np.dstack([GREY12] * 3))
        whole = pixels(data, bit_depth=12)
        monkeypatch.setattr(pictures, "_BAND_PIXELS", 280)
        assert np.array_equal(pixels(data, bit_depth=12), whole)

    def test_of_a_large_picture_with_transparency_one_copy_is_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pictures, "_BAND_PIXELS", 2**18)
        side = 2048
        data = saved(Image.new("RGBA", (side, side), (9, 9, 9, 128)), "PNG", compress_level=1)
        tracemalloc.start()
        picture = decode_picture(data, max_pixels=side * side)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert picture.nbytes == 3 * side * side
        assert peak < 1.5 * picture.nbytes  # NumPy's arrays and bytes; Pillow's own memory is not traced
