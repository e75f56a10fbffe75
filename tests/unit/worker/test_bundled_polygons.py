"""The polygons of what the bundled models see on the samples, by the rules of OGC's simple features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from data.sample_library import open_samples
from segmentation.formats import FORMATS, FormatOptions
from segmentation.label_map import LabelMap
from segmentation.picture_files.pictures import decode_picture
from storage.catalog import Catalog
from worker.engines import EngineRules, open_engine
from worker.pipeline.upsample import best_class

MODELS = Path(__file__).parents[3] / "data" / "models"


@pytest.mark.slow
@pytest.mark.parametrize("name", [card.name for card in Catalog([MODELS]).list()])
def test_every_polygon_of_the_samples_is_valid_and_areas_add_up(name: str) -> None:
    bundle = Catalog([MODELS]).get(name)
    engine = open_engine(bundle, EngineRules(cpus=2))
    samples = open_samples()
    for sample in samples.ids():
        picture = decode_picture(samples.picture(sample), max_pixels=10**7)
        logits = engine.run(bundle.card.preprocessing.apply(picture)[None])[0]
        label_map = LabelMap(best_class(logits, *picture.shape[:2]), bundle.space())
        document = json.loads(FORMATS["polygons"].encode(label_map, picture, FormatOptions()).data)
        for feature in document["features"]:
            outline, *holes = feature["geometry"]["coordinates"]
            polygon = shapely.Polygon(outline, holes)
            assert shapely.is_valid(polygon), f"{sample}: {shapely.is_valid_reason(polygon)}"
            assert polygon.area == feature["properties"]["area"]
        void = int(np.count_nonzero(label_map.ids == label_map.space.void_id))
        assert sum(each["properties"]["area"] for each in document["features"]) == label_map.ids.size - void
    engine.close()
