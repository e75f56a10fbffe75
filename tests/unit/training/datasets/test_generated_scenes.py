"""Generated scenes: a picture is made when somebody looks at it."""

import numpy as np

from training.datasets import DATASETS


def test_scenes_are_rendered_when_they_are_looked_at(tmp_path):
    scenes = DATASETS["scenes"](tmp_path, "val", scene_count=50, width=96, height=64).reduced(1, seed=3)
    assert list(tmp_path.iterdir()) == []
    picture, mask = scenes[0]
    again = DATASETS["scenes"](tmp_path, "val", scene_count=50, width=96, height=64).reduced(1, seed=3)[0]
    assert np.array_equal(picture, again[0])
    assert np.array_equal(mask, again[1])
    assert len(list(tmp_path.rglob("*.png"))) == 2
