"""Pictures read by rows: the same pixels as those that are read as a whole."""

from __future__ import annotations

import importlib.util
import io
import warnings
import zlib
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import TILEBYTECOUNTS, TILEOFFSETS, TiffImageFile

from segmentation.errors import ImageTooLarge, MissingConfidence, UnreadableImage, UnsupportedImage
from segmentation.formats import FORMATS, FormatOptions
from segmentation.formats.row_writers import ROW_WRITERS, RowPlan
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space
from segmentation.picture_files import vips_rows
from segmentation.picture_files.picture_rows import PictureRows, open_rows
from segmentation.picture_files.pictures import read_picture

RANDOM = np.random.default_rng(11)
RGB = RANDOM.integers(0, 256, (300, 37, 3), np.uint8)
DEEP = RANDOM.integers(0, 4096, (300, 37), np.uint16)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def deep_png(said: int | None = None) -> bytes:
    info = PngInfo()
    if said is not None:
        info.add(b"sBIT", bytes([said]))
    return saved(Image.fromarray(DEEP), "PNG", pnginfo=info)


ALPHA = Image.fromarray(RANDOM.integers(0, 256, (300, 37, 4), np.uint8), "RGBA")
KINDS = {
    "rgb png": saved(Image.fromarray(RGB), "PNG"),
    "grey png": saved(Image.fromarray(RGB[..., 0]), "PNG"),
    "palette png": saved(Image.fromarray(RGB).quantize(16), "PNG"),
    "rgba png": saved(ALPHA, "PNG"),
    "grey alpha png": saved(ALPHA.convert("LA"), "PNG"),
    "tiff": saved(Image.fromarray(RGB), "TIFF"),
    "deflate tiff": saved(Image.fromarray(RGB), "TIFF", compression="tiff_adobe_deflate"),
    "jpeg": saved(Image.fromarray(RGB).resize((37, 300)), "JPEG", quality=95, subsampling=0),
    "16 bits": deep_png(),
    "12 bits, as it says": deep_png(12),
}


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)
def test_rows_are_those_of_the_whole_picture(data: bytes):
    whole = read_picture(data, max_pixels=10**6)
    source = open_rows(data, bit_depth=None)
    assert (source.width, source.height) == (37, 300)
    seen: list[int] = []
    rows = PictureRows(source, lambda some: seen.append(len(some)))
    for top in range(0, 300, 25):
        bottom = min(300, top + 40)
        assert np.array_equal(rows.rows(top, bottom), whole.pixels[top:bottom])
    assert sum(seen) == 300
    assert source.notices() == whole.notices


def test_a_bit_depth_is_believed_and_checked():
    source = open_rows(deep_png(), bit_depth=12)
    assert np.array_equal(source.read(300)[..., 0], (DEEP >> 4).astype(np.uint8))
    assert source.notices() == ()
    source = open_rows(deep_png(), bit_depth=10)
    source.read(300)
    with pytest.raises(UnsupportedImage, match="bit_depth is 10"):
        source.notices()
    source = open_rows(deep_png(8), bit_depth=None)
    source.read(300)
    with pytest.raises(UnsupportedImage, match="says 8 bits"):
        source.notices()


def turned(form: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.fromarray(RGB), form, exif=exif)


def interlaced() -> bytes:
    data = KINDS["rgb png"]
    header = data[12:28] + b"\x01"
    return data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]


OBSTACLES = {
    "progressive": saved(Image.fromarray(RGB), "JPEG", progressive=True),
    "stored turned": turned("JPEG"),
    "it is stored turned": turned("PNG"),
    "only JPEG, PNG and TIFF": saved(Image.fromarray(RGB), "BMP"),
    "interlaced": interlaced(),
    "pieces of 300 rows": saved(
        Image.fromarray(RGB), "TIFF", compression="tiff_adobe_deflate", tiffinfo={278: 300}, strip_size=10**6
    ),
}


@pytest.mark.parametrize(("why", "data"), OBSTACLES.items(), ids=OBSTACLES)
def test_what_cannot_be_read_by_rows_is_refused_with_its_reason(why: str, data: bytes, monkeypatch):
    monkeypatch.setattr(vips_rows, "_PIECE_PIXELS", 1000)
    with pytest.raises(ImageTooLarge, match=f"37×300 .*{why}"):
        open_rows(data, bit_depth=None)


def test_looking_at_a_large_png_decodes_none_of_its_pixels():
    open_rows(KINDS["rgb png"][:200] + KINDS["rgb png"][-12:], bit_depth=None)  # there is nothing to decode


def test_without_the_library_it_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImageTooLarge, match="pyvips is installed"):
        open_rows(KINDS["tiff"], bit_depth=None)


def test_damaged_pictures_and_odd_pixels_are_told():
    source = open_rows(KINDS["rgb png"][:-4000], bit_depth=None)
    with pytest.raises(UnreadableImage):
        source.read(300)
    jpeg = saved(Image.fromarray(RGB), "JPEG")
    source = open_rows(jpeg[: len(jpeg) // 2] + b"\xff\xd9", bit_depth=None)
    with pytest.raises(UnreadableImage):
        source.read(300)
    with pytest.raises(UnsupportedImage, match="float"):
        open_rows(saved(Image.fromarray(RGB[..., 0].astype(np.float32)), "TIFF"), bit_depth=None)


@pytest.mark.parametrize("packing", ["deflate", "lzw"])
def test_a_tile_that_cannot_be_read_is_damage_and_not_black(packing: str):
    """libvips goes on; so it does where it cannot unpack any of them."""
    rgb = np.random.default_rng(4).integers(0, 256, (64, 48, 3), np.uint8)
    tiles = {"tile": True, "tile_width": 16, "tile_height": 16, "compression": packing}
    data = pytest.importorskip("pyvips").Image.new_from_array(rgb).tiffsave_buffer(**tiles)
    tags = TiffImageFile(io.BytesIO(data)).tag_v2
    begin, size = tags[TILEOFFSETS][-1], tags[TILEBYTECOUNTS][-1]
    source = open_rows(data[:begin] + b"\xff" * size + data[begin + size :], bit_depth=None)
    assert np.array_equal(source.read(48), rgb[:48])
    with pytest.raises(UnreadableImage, match="rows are missing"):
        source.read(16)


def test_tiles_that_a_file_leaves_out_are_black(tmp_path):
    library = pytest.importorskip("rasterio")
    shape = {"width": 32, "height": 48, "count": 3, "dtype": "uint8", "photometric": "RGB"}
    tiles = {"tiled": True, "blockxsize": 16, "blockysize": 16, "SPARSE_OK": "TRUE"}
    path = tmp_path / "sparse.tif"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files without a georeference
        with library.open(path, "w", driver="GTiff", **shape, **tiles) as file:
            file.write(np.full((3, 16, 16), 9, np.uint8), window=((16, 32), (0, 16)))
    wanted = np.zeros((48, 32, 3), np.uint8)
    wanted[16:32, :16] = 9
    assert np.array_equal(open_rows(path.read_bytes(), bit_depth=None).read(48), wanted)


def test_transparency_in_16_bits_is_read_at_its_full_depth_alone():
    pyvips = pytest.importorskip("pyvips")
    deep = pyvips.Image.new_from_array(np.full((8, 9, 4), 0xFFFF, np.uint16)).copy(interpretation="rgb16")
    data = deep.pngsave_buffer(bitdepth=16)
    assert (open_rows(data, bit_depth=None).read(8) == 255).all()
    with pytest.raises(UnsupportedImage, match="transparency"):
        open_rows(data, bit_depth=12)


def test_a_confidence_that_nobody_measured_is_not_made_up():
    space = get_label_space("camvid-11")
    plan = RowPlan(height=2, width=3, space=space, options=FormatOptions(), format=FORMATS["confidence"])
    with ExitStack() as files:
        writer = ROW_WRITERS["confidence"](plan, files)
        with pytest.raises(MissingConfidence):
            writer.labels(LabelMap(np.zeros((2, 3), np.uint8), space))
