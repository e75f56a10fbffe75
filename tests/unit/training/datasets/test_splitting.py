"""A part held back for validation, and lists of pictures, where what is asked for is wrong or counts nowhere."""

import numpy as np
import pytest
from PIL import Image

from training.datasets import DATASETS
from training.datasets.pairs import DatasetError
from training.datasets.splitting import listed, part_of


@pytest.mark.parametrize("share", [2, -0.2])
@pytest.mark.parametrize("split", ["train", "val"])
def test_what_is_no_share_is_refused(tmp_path, split, share):
    pairs = [(tmp_path / f"{number}.jpg", tmp_path / f"{number}.png") for number in range(20)]
    with pytest.raises(DatasetError, match=f"^validation_share must be 0 to 1, got {share}$"):
        part_of(pairs, split, validation_share=share)


def test_a_share_beside_a_folder_for_each_split_is_told_to_count_nowhere(tmp_path, caplog):
    for name in ("images", "masks"):
        (tmp_path / "val" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / "val" / name / "a.png")
    pictures = DATASETS["folder"](tmp_path, "val", label_space="camvid-11", validation_share=0.2)
    assert len(pictures) == 1
    assert f"{tmp_path} has a folder for each split: validation_share = 0.2 counts nowhere" in caplog.text


def test_a_list_that_is_no_text_is_named(tmp_path):
    (tmp_path / "trainval.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match=r"trainval.txt is no list of pictures: 'utf-8' codec"):
        listed(tmp_path / "trainval.txt")
