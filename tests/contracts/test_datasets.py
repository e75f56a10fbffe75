"""What every data set of DATASETS must do, on small files in its own layout."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmentation.errors import MaskMismatch, NoRemapping
from segmentation.label_spaces import get_label_space
from training.datasets import DATASETS
from training.datasets.pairs import NO_CHANNEL, DatasetError, InChannels, InSpace

COUNT = 3
SIZE = (64, 96)  # height, width


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def lay_out(name: str, root: Path, split: str) -> dict[str, object]:
    """Write COUNT pictures and masks as the data set expects them; returns its options."""
    city = f"{split}/ulm/ulm_{{}}"
    places = {
        "camvid": (f"{split}/p{{}}.png", f"{split}annot/p{{}}.png"),
        "cityscapes": (f"leftImg8bit/{city}_leftImg8bit.png", f"gtFine/{city}_gtFine_labelIds.png"),
        "folder": (f"{split}/images/p{{}}.png", f"{split}/masks/p{{}}.png"),
    }
    if name == "scenes":
        return {"scene_count": COUNT, "height": SIZE[0], "width": SIZE[1]}
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        picture, mask = (place.format(number) for place in places[name])
        write(root / picture, rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
        write(root / mask, rng.integers(0, 12, SIZE, dtype=np.uint8))
    return {}


@pytest.fixture(scope="module", params=DATASETS)
def pictures(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    options = lay_out(request.param, root, "val")
    return DATASETS[request.param](root, "val", **options)


def test_every_picture_comes_with_its_mask(pictures):
    assert len(pictures) == COUNT
    for index in range(COUNT):
        picture, mask = pictures[index]
        assert (picture.shape, picture.dtype) == ((*SIZE, 3), np.uint8)
        assert (mask.shape, mask.dtype) == (SIZE, np.uint8)


def test_ids_belong_to_the_label_space(pictures):
    known = set(pictures.space.by_id) | {pictures.space.ignore_id}
    assert set(np.unique(pictures[0][1]).tolist()) <= known


def test_it_says_what_it_is_and_under_which_terms(pictures):
    assert pictures.about.title
    assert pictures.about.licence


def test_masks_can_be_had_in_another_space(pictures):
    target = get_label_space("cityscapes-8")
    picture, mask = InSpace(pictures, target)[1]
    assert np.array_equal(picture, pictures[1][0])
    assert set(np.unique(mask).tolist()) <= set(target.by_id)


def test_channels_are_those_of_the_model(pictures):
    space = get_label_space("camvid-11")
    channels = InChannels([pictures, pictures], space)
    assert len(channels) == 2 * COUNT
    used = set(np.unique(channels[COUNT][1]).tolist())
    assert used <= set(range(len(space.class_ids))) | {NO_CHANNEL}
    assert np.array_equal(channels[COUNT][1], channels[0][1])
    assert channels.pixel_counts.sum() == 2 * COUNT * SIZE[0] * SIZE[1]


def test_a_subset_depends_on_its_seed_alone(pictures):
    names = pictures.reduced(2, seed=4).names()
    assert names == pictures.reduced(2, seed=4).names()
    assert set(names) < set(pictures.names())
    assert pictures.reduced(99, seed=4) is pictures


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_without_it_is_an_error(name, tmp_path):
    with pytest.raises(DatasetError):
        DATASETS[name](tmp_path / "nowhere", "nosuchsplit")


def test_pictures_beside_their_masks_are_found_and_others_left_out(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        write(tmp_path / name, np.zeros((*SIZE, 3), dtype=np.uint8))
    write(tmp_path / "a_mask.png", np.zeros(SIZE, dtype=np.uint8))
    assert DATASETS["folder"](tmp_path, "train").names() == ["a.jpg"]


def test_a_missing_mask_is_named(tmp_path):
    write(tmp_path / "images" / "a.png", np.zeros((*SIZE, 3), dtype=np.uint8))
    with pytest.raises(DatasetError, match=r"a.png"):
        DATASETS["folder"](tmp_path, "train")


def test_a_mask_of_another_size_is_refused(tmp_path):
    write(tmp_path / "images" / "a.png", np.zeros((*SIZE, 3), dtype=np.uint8))
    write(tmp_path / "masks" / "a.png", np.zeros((10, 10), dtype=np.uint8))
    with pytest.raises(MaskMismatch, match=r"a.png"):
        DATASETS["folder"](tmp_path, "train")[0]


def test_a_space_that_nothing_leads_to_is_refused(pictures):
    with pytest.raises(NoRemapping):
        InSpace(pictures, get_label_space("oxford-pets-3"))
