"""Pictures whose names end as masks' names do: the whole stem decides."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from training.datasets.folder import folder
from training.datasets.job_results import job_results
from training.datasets.pairs import DatasetError


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


@pytest.mark.parametrize("layout", [("images/{}", "masks/a.png"), ("{}", "a_mask.png")])
def test_two_pictures_of_one_name_have_no_mask_that_is_certain(tmp_path, layout):
    """`a.jpg` and `a.png` are two pictures, and the mask is the truth of one of them."""
    pictures, mask = layout
    for name in (pictures.format("a.jpg"), pictures.format("a.png"), mask):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L" if name == mask else "RGB", (8, 6)).save(tmp_path / name)
    with pytest.raises(DatasetError, match=r"a\.jpg and a\.png in .* would have one mask"):
        folder(tmp_path, "val", label_space="camvid-11")


@pytest.mark.parametrize("layout", [("images/A.JPG", "masks/A.PNG"), ("A.JPG", "A_mask.PNG")])
def test_suffixes_may_be_written_in_capitals(tmp_path, layout):
    for name, mode in zip(layout, ("RGB", "L"), strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new(mode, (8, 6), 3 if mode == "L" else (9, 9, 9)).save(tmp_path / name)
    pictures = folder(tmp_path, "val", label_space="camvid-11")
    assert (len(pictures), np.unique(pictures[0][1]).tolist()) == (1, [3])


def test_corrections_with_a_suffix_in_capitals_are_learnt_from(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"job": "job_1", "label_space": "camvid-11"}))
    for name, value in (("a.png", 3), ("b.PNG", 4)):
        for kind, mode in (("pictures", "RGB"), ("corrected", "L")):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.new(mode, (8, 6), value if mode == "L" else (9, 9, 9)).save(tmp_path / kind / name)
    pictures = job_results(tmp_path, "all")
    assert [np.unique(pictures[index][1]).tolist() for index in range(len(pictures))] == [[3], [4]]


def test_what_has_no_counterpart_is_told(tmp_path, caplog):
    for name in ("beside/a.jpg", "beside/a_mask.png", "beside/b.jpg", "beside/b_mask.tif", "beside/c_mask.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB" if name.endswith("jpg") else "L", (8, 6)).save(tmp_path / name)
    assert len(folder(tmp_path / "beside", "val", label_space="camvid-11")) == 1
    assert "beside: 3 pictures without a mask left out, the first is b.jpg" in caplog.text
    for name in ("apart/images/a.jpg", "apart/masks/a.png", "apart/masks/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        Image.new("RGB" if name.endswith("jpg") else "L", (8, 6)).save(tmp_path / name)
    assert len(folder(tmp_path / "apart", "val", label_space="camvid-11")) == 1
    assert "masks: 1 mask without a picture left out, the first is d.png" in caplog.text


def test_pictures_in_folders_below_are_not_left_out_in_silence(tmp_path, caplog):
    for name in ("images/cam/b.jpg", "masks/cam/b.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        Image.new("L" if name.endswith("png") else "RGB", (8, 6)).save(tmp_path / name)
    said = r"what lies in folders of its own is not read \(1 file, the first is cam/b.jpg\)"
    with pytest.raises(DatasetError, match=f"no pictures in .*images itself, and {said}"):
        folder(tmp_path, "val", label_space="camvid-11")
    Image.new("RGB", (8, 6)).save(tmp_path / "images" / "a.jpg")
    Image.new("L", (8, 6)).save(tmp_path / "masks" / "a.png")
    assert len(folder(tmp_path, "val", label_space="camvid-11")) == 1
    assert re.search(said, caplog.text)


def test_masks_that_are_no_png_files_are_told(tmp_path):
    for kind, mode, suffix in (("images", "RGB", "jpg"), ("masks", "L", "tif")):
        (tmp_path / kind).mkdir()
        Image.new(mode, (8, 6)).save(tmp_path / kind / f"a.{suffix}")
    with pytest.raises(DatasetError, match=r"is a\.png; masks are PNG files, which a\.tif is not"):
        folder(tmp_path, "val", label_space="camvid-11")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["images/b.png"], "missing in .*masks: 1 mask, the first is b.png"),
        (["b.jpg", "b_mask.png", "b_label.png"], "are masks of one picture"),
        (["b.jpg", "b.png", "b_mask.png"], "would have one mask"),
    ],
)
def test_what_is_wrong_with_a_folder_is_told_although_others_lie_in_it(tmp_path, files, said):
    """And not asked which of those is meant."""
    for name in ["old/images/a.png", "old/masks/a.png", *files]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DatasetError, match=said):
        folder(tmp_path, "train", label_space="cityscapes-34")
