"""geotiff: the mask as GeoTIFF, with the CRS and the transform of the picture; its pixels are class ids, as in `mask`.

Of a picture without a georeference it is a TIFF without one. Needs the package rasterio.
"""

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import SegmentationError, UnreadableArtifact
from segmentation.formats.format import MAX_PIXELS, Encoded, FormatOptions, check_sizes
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.palette import palette
from segmentation.picture_files.pictures import decode_mask
from segmentation.picture_files.places import rasterio

TIFF = "image/tiff"
_PAGE = 512  # pixels along a side of the tiles in the file


class GeoTiff:
    name = "geotiff"
    files: ClassVar = {TIFF: ".tif"}
    shown = True
    accept = ""  # `image/*` means a picture that a browser shows
    uses: ClassVar = ("colour_blind_safe", "place")

    def encode(self, label_map: LabelMap, rgb: NDArray[np.uint8], options: FormatOptions) -> Encoded:
        """Raises UnsupportedImage without rasterio."""
        check_sizes(label_map, rgb)
        file, dataset = begun(None, (label_map.height, label_map.width), label_map.space, options)
        with file:
            put_rows(dataset, label_map.ids, 0)
            dataset.close()
            return Encoded(file.read(), TIFF)

    def decode(self, data: bytes, space: LabelSpace) -> LabelMap:
        try:
            return LabelMap(decode_mask(data, max_pixels=MAX_PIXELS), space)
        except SegmentationError as error:
            raise UnreadableArtifact(f"no mask: {error}") from error


def begun(
    folder: Path | None, size: tuple[int, int], space: LabelSpace, options: FormatOptions
) -> tuple[BinaryIO, Any]:
    """A file without a name, and the rasterio data set that writes it: once that is closed, all is there to be read.

    size: height and width. Raises UnsupportedImage without rasterio.
    """
    library = rasterio("the artifact geotiff is made")
    descriptor, path = tempfile.mkstemp(".tif", dir=folder)
    try:
        dataset = _opened(library, path, size, options)
        colours = palette(space, colour_blind_safe=options.colour_blind_safe).tolist()
        dataset.write_colormap(1, {index: tuple(colour) for index, colour in enumerate(colours)})
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        Path(path).unlink()
    return os.fdopen(descriptor, "rb"), dataset


def put_rows(dataset: Any, ids: NDArray[np.uint8], top: int) -> None:
    """The rows from `top` on, (n, W)."""
    dataset.write(np.ascontiguousarray(ids), 1, window=((top, top + len(ids)), (0, ids.shape[1])))


def _opened(library: Any, path: str, size: tuple[int, int], options: FormatOptions) -> Any:
    georeference = options.place.georeference
    known: dict[str, Any] = {}
    if georeference is not None:
        known["crs"] = library.crs.CRS.from_wkt(georeference.crs)
        known["transform"] = library.Affine(*georeference.affine)
    shape: dict[str, Any] = {"tiled": True, "blockxsize": _PAGE, "blockysize": _PAGE} if min(size) > _PAGE else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of files without a georeference
        return library.open(
            path,
            "w",
            driver="GTiff",
            height=size[0],
            width=size[1],
            count=1,
            dtype="uint8",
            photometric="palette",
            compress="deflate",
            zlevel=1,
            bigtiff="IF_SAFER",
            **known,
            **shape,
        )
