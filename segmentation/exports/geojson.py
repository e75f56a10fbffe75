"""GeoJSON: a collection of polygons for each picture, as the artifact `polygons` has it: in longitude and latitude
where an artifact of the job keeps a georeference, else in its pixels, y down.

What comes back may be drawn by hand, and in another coordinate system where its member `crs` says so, as a GIS may save
it. Sources: RFC 7946; "The GeoJSON Format Specification" of 2008, section 3.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import UnreadableExport, UnsupportedImage
from segmentation.exports.documents import loaded
from segmentation.exports.export import Drawn, Exported, File, Ids, Known, Returned
from segmentation.exports.shapes import mask_of
from segmentation.formats.format import FormatOptions
from segmentation.formats.polygons import CRS84, PIXELS, Polygons
from segmentation.label_space import LabelSpace
from segmentation.picture_files.places import LONGITUDE_LATITUDE, Place, has_rasterio

SUFFIX = ".geojson"
_BLACK = np.zeros((1, 1, 3), np.uint8)


class GeoJson:
    name = "geojson"
    title = "GeoJSON"
    by_rows = False

    def check(self, space: LabelSpace) -> None: ...

    def files(self, exported: Exported) -> Iterator[File]:
        for image in exported.images():
            label_map = image.read()
            picture = np.broadcast_to(_BLACK, (*label_map.ids.shape, 3))
            place = _told(image.place())
            options = FormatOptions(file_name=image.file_name, place=place, outlines=exported.outlines)
            encoded = Polygons().encode(label_map, picture, options)
            yield File(f"polygons/{image.name}{SUFFIX}", encoded.data)

    def picture(self, name: str, suffix: str, names: Collection[str]) -> str:
        return f"images/{name}{suffix}"

    def fits(self, names: Collection[str]) -> bool:
        return any(name.lower().endswith(SUFFIX) for name in names)

    def read(self, returned: Returned) -> Iterator[Drawn]:
        for path, read in returned.files.items():
            if path.lower().endswith(SUFFIX):
                image = returned.image(path[: -len(SUFFIX)].removeprefix("polygons/"))
                if image is not None:
                    yield Drawn(image, _drawn(loaded(read(), path), image, returned))


def _told(place: Place) -> Place:
    """Without the package that converts coordinates, they stay pixels."""
    if place.georeference is None or has_rasterio():
        return place
    return place._replace(georeference=replace(place.georeference, geographic=False))


def _drawn(document: Any, image: Known, returned: Returned) -> Ids:
    ids = returned.blank(image)
    ground = image.place().georeference
    try:
        size = document.get("image", {})  # of the artifact `polygons`
        image.check_size(size.get("width"), size.get("height"))
        if ground is None and document.get("coordinates") == CRS84:
            raise UnreadableExport(
                f"{image.name}: in longitude and latitude, and no artifact keeps where the picture is"
            )
        if ground is not None and (not ground.geographic or document.get("coordinates") == PIXELS):
            ground = None
        crs, beyond = _crs(document), list[bool]()
        for feature in document["features"]:
            class_id = _class(feature["properties"], image, returned)
            shape = feature["geometry"]
            parts = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
            for part in parts:
                rings = [np.array(ring, np.float64) for ring in part]
                rings = rings if ground is None else [ground.corners(ring[:, :2], crs) for ring in rings]
                ids[mask_of(rings, height=image.height, width=image.width)] = class_id
                beyond += [_is_beyond(ring, image) for ring in rings[:1]]
        if beyond and all(beyond):
            meant = "pixels" if ground is None else f"{crs}, the longitude or x first"
            raise UnreadableExport(
                f"{image.name}: all polygons lie beyond the picture; coordinates are read as {meant}"
            )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UnreadableExport(f"{image.name}: no polygons: {type(error).__name__} {error}") from error
    except UnsupportedImage as error:
        raise UnreadableExport(f"{image.name}: {error}") from error
    return ids


def _is_beyond(ring: NDArray[np.float64], image: Known) -> bool:
    size = (image.width, image.height)
    return bool((ring.max(axis=0) <= 0).any() or (ring.min(axis=0) >= size).any())


def _crs(document: Mapping[str, Any]) -> str:
    """In which coordinates of the ground are. Those of GeoJSON are longitude and latitude, whatever it calls them."""
    told = document.get("crs")
    name = LONGITUDE_LATITUDE if told is None else str(told["properties"]["name"])
    return LONGITUDE_LATITUDE if name.endswith(("CRS84", "4326")) else name


def _class(properties: dict[str, Any], image: Known, returned: Returned) -> int:
    """By its name; its id tells where two are called alike, and where no name is given."""
    known, name = returned.space.by_id, properties.get("class")
    found = properties.get("class_id")
    if isinstance(found, int) and found in known and name in (None, known[found].name):
        return found
    return returned.labels.id_of(name, where=image.name)
