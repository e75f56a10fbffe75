"""What every data set of DATASETS must do, on small files in its own layout."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmentation.errors import NoRemapping
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
        "coco": ("images/p{}.png", "elsewhere/p{}.png"),
        "cityscapes": (f"leftImg8bit/{city}_leftImg8bit.png", f"gtFine/{city}_gtFine_labelIds.png"),
        "folder": (f"{split}/images/p{{}}.png", f"{split}/masks/p{{}}.png"),
        "job": ("images/p{}.png", "corrected/p{}.png"),
        "job_results": ("pictures/p{}.png", "mask/p{}.png"),
        "oxford_pets": ("images/p{}.jpg", "annotations/trimaps/p{}.png"),
        "unlabelled": (f"{split}/p{{}}.png", "elsewhere/p{}.png"),
        "voc": ("JPEGImages/p{}.png", "SegmentationClass/p{}.png"),
    }
    if name == "scenes":
        return {"scene_count": COUNT, "height": SIZE[0], "width": SIZE[1]}
    rng = np.random.default_rng(0)
    values = (1, 4) if name == "oxford_pets" else (0, 12)
    for number in range(COUNT):
        picture, mask = (place.format(number) for place in places[name])
        write(root / picture, rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
        write(root / mask, rng.integers(*values, SIZE, dtype=np.uint8))
    return OTHERS[name](root) if name in OTHERS else {}


def list_pets(root: Path) -> dict[str, object]:
    lines = "# a comment\n" + "".join(f"p{number} 1 1 1\n" for number in range(COUNT))
    (root / "annotations" / "trainval.txt").write_text(lines)
    return {"validation_share": 1.0}


def write_manifest(root: Path) -> dict[str, object]:
    (root / "manifest.json").write_text(json.dumps({"job": "job_1", "label_space": "camvid-11", "options": {}}))
    return {"validation_share": 1.0}


def write_annotations(root: Path) -> dict[str, object]:
    size = {"height": SIZE[0], "width": SIZE[1]}
    images = [{"id": number, "file_name": f"p{number}.png", **size} for number in range(COUNT)]
    road = {"category_id": 4, "segmentation": [[0, 0, 50, 0, 50, 64, 0, 64]]}
    annotations = [{"id": number, "image_id": number, **road} for number in range(COUNT)]
    document = {"images": images, "annotations": annotations, "categories": [{"id": 4, "name": "road"}]}
    (root / "result.json").write_text(json.dumps(document))
    return {"label_space": "camvid-11", "background": "void", "validation_share": 1.0}


def list_masks(root: Path) -> dict[str, object]:
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("".join(f"p{number}\n" for number in range(COUNT)))
    return {"label_space": "camvid-11"}


OTHERS = {
    "coco": write_annotations,
    "voc": list_masks,
    "oxford_pets": list_pets,
    "job": write_manifest,
    "job_results": write_manifest,
}


@pytest.fixture(scope="module", params=DATASETS)
def pictures(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    options = lay_out(request.param, root, "val")
    return DATASETS[request.param](root, "val", **options)


@pytest.fixture
def target(pictures):
    """A label space that the data set's own leads to; its own where none is."""
    if pictures.is_unlabelled:
        pytest.skip("without labels it cannot be had in any")
    return get_label_space(next(iter(pictures.space.mappings), pictures.space.name))


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


def test_masks_can_be_had_in_another_space(pictures, target):
    picture, mask = InSpace(pictures, target)[1]
    assert np.array_equal(picture, pictures[1][0])
    assert set(np.unique(mask).tolist()) <= {*target.by_id, target.void_id}


def test_channels_are_those_of_the_model(pictures, target):
    channels = InChannels([pictures, pictures], target)
    assert len(channels) == 2 * COUNT
    used = set(np.unique(channels[COUNT][1]).tolist())
    assert used <= set(range(len(target.class_ids))) | {NO_CHANNEL}
    assert np.array_equal(channels[COUNT][1], channels[0][1])
    assert channels.pixel_counts.sum() == 2 * COUNT * SIZE[0] * SIZE[1]


def test_a_subset_depends_on_its_seed_alone(pictures):
    names = pictures.reduced(2, seed=4).names()
    assert len(names) == 2
    assert names == pictures.reduced(2, seed=4).names()
    assert set(names) < set(pictures.names())
    assert pictures.reduced(99, seed=4) is pictures


def test_a_share_of_the_pictures_is_a_subset_too(pictures):
    assert len(pictures.reduced(share=0.4, seed=4)) == 1
    assert len(pictures.reduced(share=0.01, seed=4)) == 1
    assert pictures.reduced(share=1.0, seed=4) is pictures


@pytest.mark.parametrize("wish", [{"share": 0.0}, {"share": 1.5}, {"count": -1}, {"count": 1, "share": 0.5}])
def test_a_subset_that_is_none_is_refused(pictures, wish):
    with pytest.raises(DatasetError, match="share in"):
        pictures.reduced(**wish, seed=4)


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_without_it_is_an_error(name, tmp_path):
    with pytest.raises(DatasetError):
        DATASETS[name](tmp_path / "nowhere", "nosuchsplit")


def test_a_space_that_nothing_leads_to_is_refused(pictures):
    elsewhere = "camvid-11" if pictures.space.name == "oxford-pets-3" else "oxford-pets-3"
    with pytest.raises(NoRemapping):
        InSpace(pictures, get_label_space(elsewhere))
