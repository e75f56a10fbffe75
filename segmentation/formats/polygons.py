"""polygons: GeoJSON, one polygon with its holes per region; exact, along the edges of pixels, unless `outlines` says
otherwise: what is simplified is not read back.

Of a picture with a georeference coordinates are longitude and latitude in WGS 84, as RFC 7946 wants, and each feature
has the same outline as `pixels`. Of any other they are pixels: x goes to the right and y down, from the upper left
corner of the picture; outlines have a positive area in (x, y), holes a negative one.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import UnreadableArtifact
from segmentation.formats.contours import Region, Ring, fill_regions, trace_regions
from segmentation.formats.format import Encoded, FormatOptions, check_sizes
from segmentation.formats.outlines import EXACT
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace
from segmentation.picture_files.places import Georeference, Place, Position, border_of

OUTLINES, CLASSES = "outlines", "classes"  # there where a document does not keep everything
PIXELS, CRS84 = "pixels", "CRS84"  # what the coordinates of a document are, where its picture has a georeference
_DECIMALS = 9  # of degrees: a tenth of a millimetre
_LONGEST_STEP = 64  # pixels


class Polygons:
    """Regions of the space's void id are left out, unless the options name its class."""

    name = "polygons"
    files: ClassVar = {"application/geo+json": ".geojson"}
    shown = True
    accept = "application/geo+json"
    uses: ClassVar = ("file_name", "place", "outlines", "classes")

    def encode(self, label_map: LabelMap, rgb: NDArray[np.uint8], options: FormatOptions) -> Encoded:
        check_sizes(label_map, rgb)
        space = label_map.space
        drawn = replace(options, shows_void=False).drawn(space)
        regions = options.outlines.of(each for each in trace_regions(label_map.ids) if drawn[each.class_id])
        document = {
            "type": "FeatureCollection",
            "image": {"file_name": options.file_name, "width": label_map.width, "height": label_map.height},
            "label_space": space.name,
            **({} if options.outlines == EXACT else {OUTLINES: options.outlines.to_dict()}),
            **({CLASSES: options.classes} if options.classes else {}),
            **_told(options.place),
            "features": [_feature(region, space) for region in regions],
        }
        if (georeference := options.place.georeference) is not None and georeference.geographic:
            _to_the_ground(document["features"], regions, georeference)
            document["coordinates"] = CRS84
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return Encoded(text.encode(), "application/geo+json")

    def decode(self, data: bytes, space: LabelSpace) -> LabelMap:
        try:
            document = json.loads(data)
            if OUTLINES in document or CLASSES in document:
                raise ValueError("they are simplified, or of some classes, and do not keep every pixel")
            regions = [_region(each) for each in document["features"]]
            size = document["image"]
            ids = fill_regions(regions, height=int(size["height"]), width=int(size["width"]), background=space.void_id)
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise UnreadableArtifact(f"no polygons of one picture: {error}") from error
        if ids.min() < 0 or ids.max() > 255:
            raise UnreadableArtifact("no polygons of one picture: they overlap, or name ids above 255")
        return LabelMap(ids.astype(np.uint8), space)


def _feature(region: Region, space: LabelSpace) -> dict[str, Any]:
    known = space.by_id.get(region.class_id)
    return {
        "type": "Feature",
        "properties": {
            "class_id": region.class_id,
            "class": space.name_of(region.class_id),
            "group": None if known is None else known.group,
            "area": region.area,
        },
        "geometry": {"type": "Polygon", "coordinates": region.rings},
    }


def _region(feature: dict[str, Any]) -> Region:
    properties = feature["properties"]
    rings = feature["pixels"] if "pixels" in feature else feature["geometry"]["coordinates"]
    return Region(int(properties["class_id"]), int(properties["area"]), rings)


def _told(place: Place) -> dict[str, Any]:
    """What is known of where the picture was taken."""
    told: dict[str, Any] = {}
    if place.georeference is not None:
        told["coordinates"] = PIXELS
        told["georeference"] = {"crs": place.georeference.crs, "transform": place.georeference.affine}
    if place.position is not None:
        at = [each for each in place.position if each is not None]
        told["position"] = {"type": "Point", "coordinates": at}
    return told


def place_in_polygons(data: bytes) -> Place:
    """What `encode` was told of the picture's place."""
    document = json.loads(data)
    told, position = document.get("georeference"), document.get("position")
    place = Place(position=None if position is None else Position(*position["coordinates"]))
    if told is None:
        return place
    geographic = document["coordinates"] == CRS84
    return place._replace(georeference=Georeference(told["crs"], tuple(told["transform"]), geographic))


def _to_the_ground(features: Sequence[dict[str, Any]], regions: Sequence[Region], georeference: Georeference) -> None:
    """Outlines in longitude and latitude, counterclockwise as seen on a map; holes the other way round."""
    rings = [in_short_steps(ring) for region in regions for ring in region.rings]
    if not rings:
        return
    turn = -1 if _area(georeference.lonlat(border_of(2, 2))) < 0 else 1
    points = georeference.lonlat(np.concatenate(rings)).round(_DECIMALS)
    ends = np.cumsum([len(ring) for ring in rings])[:-1]
    placed = iter([each[::turn].tolist() for each in np.split(points, ends)])
    for feature, region in zip(features, regions, strict=True):
        feature["geometry"]["coordinates"] = [next(placed) for _ in region.rings]
        feature["pixels"] = region.rings


def in_short_steps(ring: Ring) -> NDArray[np.float64]:
    """A straight line of many pixels is none on the ground: it gets points in between."""
    pieces = []
    for here, there in pairwise(np.array(ring, np.float64)):
        steps = max(1, math.ceil(np.abs(there - here).max() / _LONGEST_STEP))
        pieces.append(here + (there - here) * np.arange(steps)[:, None] / steps)
    return np.concatenate([*pieces, np.array(ring[-1:], np.float64)])


def _area(ring: NDArray[np.float64]) -> float:
    (x, y), (to_x, to_y) = ring[:-1].T, ring[1:].T
    return float((x * to_y - to_x * y).sum())
