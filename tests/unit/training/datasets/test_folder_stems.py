"""Pictures whose names end as masks' names do: the whole stem decides."""

import numpy as np
import pytest
from PIL import Image

from training.datasets.folder import folder


@pytest.mark.parametrize("endings", [("_L", "_R"), ("", "_l"), ("_seg", "_gt")])
def test_a_mask_of_a_pictures_whole_name_is_its_own(tmp_path, endings):
    for value, ending in enumerate(endings):
        for kind, mode, suffix in (("images", "RGB", "jpg"), ("masks", "L", "png")):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.new(mode, (8, 6), value if mode == "L" else (9, 9, 9)).save(
                tmp_path / kind / f"0001{ending}.{suffix}"
            )
    pictures = folder(tmp_path, "val", label_space="camvid-11")
    read = {pair[0].stem: pictures[index][1] for index, pair in enumerate(pictures.pairs)}
    assert {stem: np.unique(mask).tolist() for stem, mask in read.items()} == {
        f"0001{ending}": [value] for value, ending in enumerate(endings)
    }
