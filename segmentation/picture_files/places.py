"""Where a picture was taken, and what its pixels are on the ground: GPS of photographs, georeference of GeoTIFFs.

Georeferences are read and converted by the package rasterio. Wherever one cannot be, that is said, and nothing guessed.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin

from segmentation.errors import UnsupportedImage
from segmentation.picture_files.deep_pixels import Notice
from segmentation.picture_files.file_data import FileData, opened
from segmentation.picture_files.picture_headers import may_be_turned, png_contents
from segmentation.picture_files.picture_kinds import HEAD_BYTES, PICTURE_KINDS, sniff_media_type
from segmentation.picture_files.pictures import GEOREFERENCE_NOTICES, read_exif

UNREAD, UNUSABLE, MISSING = GEOREFERENCE_NOTICES
GEO_PACKAGE = "where the package rasterio is installed (maskmill-server[geo]); here it is not"
LONGITUDE_LATITUDE = "EPSG:4326"  # rasterio gives x, that is the longitude, first
_GEO_TAGS = (33550, 33922, 34264, 34735)  # scale, tie points, transformation, keys (OGC GeoTIFF 1.1, annex B)
_KEYWORD = b"georeference"
_SIDE_POINTS = 33  # of a picture's border, that are looked at on each side
_CACHE_MB = "64"  # of GDAL's own memory, which would else be a twentieth of the machine's

Points = NDArray[np.float64]  # (N, 2): x and y
Affine = tuple[float, float, float, float, float, float]


class Position(NamedTuple):
    """Of the camera, in WGS 84: degrees, and metres above the sea if it says so."""

    longitude: float
    latitude: float
    altitude: float | None = None


@dataclass(frozen=True, slots=True)
class Georeference:
    """crs: as WKT. affine: (a, b, c, d, e, f), so that a corner of pixels (x, y) of the upright picture lies at
    (a·x + b·y + c, d·x + e·y + f). geographic: whether all of the picture can be told in longitude and latitude."""

    crs: str
    affine: Affine
    geographic: bool = True

    def ground(self, corners: Points) -> Points:
        """In the units of the CRS."""
        a, b, c, d, e, f = self.affine
        return np.stack([corners @ (a, b) + c, corners @ (d, e) + f], axis=1)

    def lonlat(self, corners: Points) -> Points:
        """Longitude and latitude in WGS 84. Raises UnsupportedImage without rasterio, or for a CRS that it does not
        convert."""
        return _converted(self.ground(corners), self.crs, LONGITUDE_LATITUDE)

    def corners(self, points: Points, crs: str = LONGITUDE_LATITUDE) -> Points:
        """The reverse of `lonlat`; of points in another `crs`, whose x comes first. Raises as it does."""
        x, y = _converted(points, crs, self.crs).T
        a, b, c, d, e, f = self.affine
        scale = a * e - b * d
        return np.stack([(e * (x - c) - b * (y - f)) / scale, (a * (y - f) - d * (x - c)) / scale], axis=1)

    def to_dict(self) -> dict[str, Any]:
        return {"crs": self.crs, "transform": list(self.affine), "geographic": self.geographic}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Georeference:
        return cls(value["crs"], tuple(value["transform"]), value["geographic"])


class Place(NamedTuple):
    georeference: Georeference | None = None
    position: Position | None = None


NOWHERE = Place()


def place_of(data: FileData) -> tuple[Place, tuple[Notice, ...]]:
    """Of a picture that can be read. Whatever is damaged of its place is no reason to refuse sound pixels."""
    media_type = sniff_media_type(data[:HEAD_BYTES])
    if media_type == "image/jpeg" and isinstance(data, bytes) and not may_be_turned(data):
        return NOWHERE, ()  # the usual picture, without a word about itself
    position = _position(read_exif(data))
    if media_type != "image/tiff":
        return Place(None, position), ()
    try:
        georeference = _of_tiff(data)
    except UnsupportedImage as error:
        return Place(None, position), (Notice(UNREAD, str(error)),)
    place = Place(georeference, position)
    if georeference is None or georeference.geographic:
        return place, ()
    told = "the picture crosses the antimeridian or a pole, or its CRS leads to no longitudes: polygons stay in pixels"
    return place, (Notice(UNUSABLE, told),)


def has_rasterio() -> bool:
    return importlib.util.find_spec("rasterio") is not None


def rasterio(needed_for: str) -> Any:
    """Raises UnsupportedImage."""
    if not has_rasterio():
        raise UnsupportedImage(f"{needed_for} {GEO_PACKAGE}")
    os.environ.setdefault("GDAL_CACHEMAX", _CACHE_MB)
    module: Any = importlib.import_module("rasterio")
    return module


def png_chunks_of(place: Place) -> list[tuple[bytes, bytes]]:
    """Kind and content of what a PNG keeps of a place: EXIF with the position, a text with the georeference."""
    chunks = []
    if place.position is not None:
        chunks.append((b"eXIf", _exif_of(place.position)))
    if place.georeference is not None:
        chunks.append((b"tEXt", _KEYWORD + b"\0" + json.dumps(place.georeference.to_dict()).encode()))
    return chunks


def place_in_png(data: bytes) -> Place:
    """What `png_chunks_of` put there; nowhere where nothing is."""
    found = NOWHERE
    for kind, content in png_contents(data):
        if kind == b"tEXt" and content.startswith(_KEYWORD + b"\0"):
            georeference = Georeference.from_dict(json.loads(content[len(_KEYWORD) + 1 :]))
            found = found._replace(georeference=georeference)
        elif kind == b"eXIf":
            found = found._replace(position=_position(read_exif(data)))
    return found


def _position(exif: Image.Exif) -> Position | None:
    with suppress(TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        latitude = _degrees(gps[ExifTags.GPS.GPSLatitude], str(gps[ExifTags.GPS.GPSLatitudeRef]), "NS")
        longitude = _degrees(gps[ExifTags.GPS.GPSLongitude], str(gps[ExifTags.GPS.GPSLongitudeRef]), "EW")
        if abs(latitude) <= 90 and abs(longitude) <= 180:
            return Position(longitude, latitude, _altitude(gps))
    return None


def _degrees(parts: Any, side: str, sides: str) -> float:
    """parts: degrees, minutes and seconds. Raises ValueError for what is none."""
    degrees, minutes, seconds = map(float, parts)
    found = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(found) or found < 0:
        raise ValueError(parts)
    return (1 - 2 * sides.index(side.strip("\0 ").upper()[:1] or "?")) * round(found, 9)


def _altitude(gps: Any) -> float | None:
    with suppress(TypeError, ValueError, ArithmeticError, LookupError):
        below = gps.get(ExifTags.GPS.GPSAltitudeRef) in (1, b"\x01")
        found = float(gps[ExifTags.GPS.GPSAltitude])
        if math.isfinite(found):
            return -found if below else found
    return None


def _exif_of(position: Position) -> bytes:
    """To a ten-millionth of a degree."""
    exif = Image.Exif()
    gps: dict[int, Any] = {}
    for tag, value, sides in ((1, position.latitude, "NS"), (3, position.longitude, "EW")):
        size = TiffImagePlugin.IFDRational(round(abs(value) * 10**7), 10**7)
        gps |= {tag: sides[value < 0], tag + 1: (size, TiffImagePlugin.IFDRational(0), TiffImagePlugin.IFDRational(0))}
    if position.altitude is not None:
        height = TiffImagePlugin.IFDRational(round(abs(position.altitude) * 1000), 1000)
        gps |= {5: bytes([position.altitude < 0]), 6: height}
    exif[ExifTags.IFD.GPSInfo] = gps
    return exif.tobytes().removeprefix(b"Exif\0\0")


def _of_tiff(data: FileData) -> Georeference | None:
    """Raises UnsupportedImage for one that is there and cannot be read."""
    picture = PICTURE_KINDS["image/tiff"].open(opened(data))
    assert isinstance(picture, TiffImagePlugin.TiffImageFile)
    if not any(tag in picture.tag_v2 for tag in _GEO_TAGS):
        return None
    tags = picture.tag_v2
    size = tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH]  # Pillow's own is the upright one's
    return _by_rasterio(data, size, tags.get(ExifTags.Base.Orientation))


def _by_rasterio(data: FileData, size: tuple[int, int], orientation: object) -> Georeference:
    """size: width and height as stored. Raises UnsupportedImage."""
    library = rasterio("the georeference of a GeoTIFF is read")
    try:
        with warnings.catch_warnings(), library.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO"):
            warnings.simplefilter("ignore")  # it says so of files without a transform
            if isinstance(data, bytes):
                with library.MemoryFile(data) as file, file.open(driver="GTiff") as found:
                    crs, affine = found.crs, found.transform
            else:
                with library.open(data.path, driver="GTiff", sharing=False) as found:
                    crs, affine = found.crs, found.transform
            wkt = crs.to_wkt() if crs else ""
    except _faults(library) as error:
        raise UnsupportedImage(f"the georeference cannot be read: {error}") from error
    if not wkt or affine.is_identity or not math.isfinite(affine.determinant) or not affine.determinant:
        raise UnsupportedImage("the georeference has no CRS, or no transform from pixels to it; it is not kept")
    upright = _composed(tuple(affine)[:6], orientation, size)
    georeference = Georeference(wkt, upright)
    sideways = orientation in (5, 6, 7, 8)
    return Georeference(wkt, upright, _is_geographic(georeference, size[::-1] if sideways else size))


def _faults(library: Any) -> tuple[type[Exception], ...]:
    errors = importlib.import_module("rasterio._err")
    return (library.errors.RasterioError, errors.CPLE_BaseError, ValueError)


def _composed(affine: Any, orientation: object, size: tuple[int, int]) -> Affine:
    """Of the upright picture, from that of the picture as it is stored, of this width and height."""
    width, height = size
    stored = {  # (x, y) as stored, from (x, y) upright: factors of both, and what is added
        2: ((-1, 0, width), (0, 1, 0)),
        3: ((-1, 0, width), (0, -1, height)),
        4: ((1, 0, 0), (0, -1, height)),
        5: ((0, 1, 0), (1, 0, 0)),
        6: ((0, 1, 0), (-1, 0, height)),
        7: ((0, -1, width), (-1, 0, height)),
        8: ((0, -1, width), (1, 0, 0)),
    }.get(orientation if isinstance(orientation, int) else 1, ((1, 0, 0), (0, 1, 0)))
    matrix = np.array(affine, np.float64).reshape(2, 3)
    turned = matrix @ np.array([*stored, (0, 0, 1)], np.float64)
    a, b, c, d, e, f = turned.ravel().tolist()
    return a, b, c, d, e, f


def _is_geographic(georeference: Georeference, size: tuple[int, int]) -> bool:
    """Whether a way along the border, and the middle, have longitudes that do not jump."""
    try:
        border = georeference.lonlat(border_of(*size, points=_SIDE_POINTS))
        middle = georeference.lonlat(np.array([size], np.float64) / 2)
    except UnsupportedImage:
        return False
    found = np.concatenate([border, middle])
    jumps = np.abs(np.diff(border[:, 0]))
    inside = np.abs(found[:, 0]) <= 180, np.abs(found[:, 1]) <= 90
    return bool(np.isfinite(found).all() and np.all(inside) and (jumps < 180).all())


def border_of(width: int, height: int, *, points: int = 2) -> Points:
    """Corners along a picture's border, closed; like an outline, its area in (x, y) is positive."""
    along = np.linspace(0, 1, points)[:-1]
    sides = [
        (along * width, 0 * along),
        (0 * along + width, along * height),
        (width - along * width, 0 * along + height),
        (0 * along, height - along * height),
    ]
    ring = np.concatenate([np.stack(side, axis=1) for side in sides])
    return np.concatenate([ring, ring[:1]])


def _converted(points: Points, source: str, target: str) -> Points:
    library = rasterio("coordinates are converted")
    warp = importlib.import_module("rasterio.warp")
    try:
        crs = [library.crs.CRS.from_string(each) for each in (source, target)]
        x, y = warp.transform(*crs, points[:, 0].tolist(), points[:, 1].tolist())
    except _faults(library) as error:
        raise UnsupportedImage(f"coordinates cannot be converted: {error}") from error
    return np.array([x, y], np.float64).T
