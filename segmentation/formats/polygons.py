"""polygons: GeoJSON in pixel coordinates, one polygon with its holes per region; exact, along the edges of pixels.

x goes to the right and y down, from the upper left corner of the picture. Source: RFC 7946; by its right-hand rule
outlines have a positive area in (x, y), holes a negative one.
"""

import json
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segmentation.errors import UnreadableArtifact
from segmentation.formats.contours import Region, fill_regions, trace_regions
from segmentation.formats.format import Encoded, FormatOptions, check_sizes
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelSpace


class Polygons:
    """Regions of the space's void id are left out."""

    name = "polygons"
    files: ClassVar = {"application/geo+json": ".geojson"}
    shown = True
    accept = "application/geo+json"
    uses: ClassVar = ("file_name",)

    def encode(self, label_map: LabelMap, rgb: NDArray[np.uint8], options: FormatOptions) -> Encoded:
        check_sizes(label_map, rgb)
        space = label_map.space
        document = {
            "type": "FeatureCollection",
            "image": {"file_name": options.file_name, "width": label_map.width, "height": label_map.height},
            "label_space": space.name,
            "features": [
                _feature(region, space) for region in trace_regions(label_map.ids) if region.class_id != space.void_id
            ],
        }
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return Encoded(text.encode(), "application/geo+json")

    def decode(self, data: bytes, space: LabelSpace) -> LabelMap:
        try:
            document = json.loads(data)
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
    return Region(int(properties["class_id"]), int(properties["area"]), feature["geometry"]["coordinates"])
