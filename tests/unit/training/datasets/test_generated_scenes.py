"""Generated scenes: a picture is made when somebody looks at it."""

import numpy as np
import pytest

from training.datasets import DATASETS
from training.datasets.pairs import DatasetError
from training.recipe.building import open_dataset
from training.recipe.recipe import DataChoice


def test_scenes_are_rendered_when_they_are_looked_at(tmp_path):
    scenes = DATASETS["scenes"](tmp_path, "val", scene_count=50, width=96, height=64).reduced(1, seed=3)
    assert list(tmp_path.iterdir()) == []
    picture, mask = scenes[0]
    again = DATASETS["scenes"](tmp_path, "val", scene_count=50, width=96, height=64).reduced(1, seed=3)[0]
    assert np.array_equal(picture, again[0])
    assert np.array_equal(mask, again[1])
    assert len(list(tmp_path.rglob("*.png"))) == 2


@pytest.mark.parametrize(
    ("split", "options", "said"),
    [
        ("dawn", {}, "generated scenes have no split 'dawn'; there are train, val, test"),
        ("val", {"width": 0}, "width must be 8 to 8192 pixels, got 0"),
        ("val", {"scene_count": 0}, "scene_count must be 1 or more, got 0"),
    ],
)
def test_a_wrong_choice_is_told_without_a_hint_at_the_folders(tmp_path, split, options, said):
    for name in ("images/1.png", "masks/1.png"):  # as earlier scenes lie, and those of `folder` too
        path = tmp_path / "val-96x64" / name
        path.parent.mkdir(parents=True)
        path.touch()
    choice = DataChoice(dataset="scenes", split=split, options=options)
    with pytest.raises(DatasetError, match=f"^{said}$"):
        open_dataset(choice, {"scenes": tmp_path}, seed=1)
