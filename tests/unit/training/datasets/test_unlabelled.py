"""Pictures without masks: nothing is known of them, and what is learnt from them is what a teacher says."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from segmentation.label_spaces import LABEL_SPACES
from storage.catalog import Catalog
from tests.tiny_models import tiny_bundle
from tests.tiny_runs import tiny_order
from training.datasets import DATASETS
from training.datasets.pairs import NO_CHANNEL, DatasetError, InChannels
from training.export.export import Release, export_run
from training.fit.launch import run_order
from training.lineage import DataRecord
from training.recipe.recipe import RecipeError
from training.settings import TrainingSettings

UNTRACKED = TrainingSettings(tracking_uri="none")
UNLABELLED = '{dataset="unlabelled"}'
SCENES = '{dataset="scenes", options={scene_count=5, width=64, height=64}}'


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Four pictures in the folder of a split, three of them deeper; one has a mask beside it."""
    folder = tmp_path_factory.mktemp("town")
    (folder / "train" / "deeper").mkdir(parents=True)
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "train" / ("deeper" if number else "") / f"{number}.png")
    Image.new("L", (64, 64)).save(folder / "train" / "0_mask.png")
    return folder


@pytest.fixture(scope="module")
def roots(place, rendered):
    return {"unlabelled": place, "scenes": rendered}


def test_masks_in_a_folder_of_their_own_are_no_pictures(tmp_path):
    for name in ("images/a.png", "images/deeper/b.png", "masks/a.png", "masks/deeper/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        Image.new("L" if "masks" in name else "RGB", (8, 6)).save(tmp_path / name)
    pictures = DATASETS["unlabelled"](tmp_path, "train")
    assert [picture.parent.name for picture, _ in pictures.pairs] == ["images", "deeper"]
    assert len(pictures) == 2
    with pytest.raises(DatasetError, match="all 1 lie in folders of masks"):
        DATASETS["unlabelled"](_only_masks(tmp_path), "train")


def _only_masks(place):
    (place / "alone" / "labels").mkdir(parents=True)
    Image.new("L", (8, 6)).save(place / "alone" / "labels" / "a.png")
    return place / "alone"


@pytest.fixture
def taught(roots, tmp_path):
    """Gives the run of one epoch on these data sets, taught by a bundle."""

    def train(*data: str):
        tiny_bundle(tmp_path / "models")
        settings = ["distillation.teacher=tiny", f"data=[{', '.join(data)}]", "stages[0].epochs=1"]
        order = replace(tiny_order(tmp_path / "runs", roots, settings), models=[tmp_path / "models"])
        return run_order(order, settings=UNTRACKED)

    return train


def test_pictures_of_a_split_are_found_wherever_they_lie_and_masks_are_none(place):
    assert DATASETS["unlabelled"](place, "train").names() == ["0.png", "1.png", "2.png", "3.png"]
    assert DATASETS["unlabelled"](place, "val").about.title == f"folder {place.name}, without masks"


@pytest.mark.parametrize("space", LABEL_SPACES.values(), ids=LABEL_SPACES)
def test_no_pixel_counts_whatever_the_classes_are(place, space):
    """Not even as the void class of a space that has one among its channels."""
    channels = InChannels([DATASETS["unlabelled"](place, "train").reduced(2, seed=1)], space)
    assert channels.pixel_counts[NO_CHANNEL] == channels.pixel_counts.sum() == 2 * 64 * 64


def test_they_are_learnt_from_what_their_teacher_says(taught, place):
    run = taught(UNLABELLED)
    (line,) = run.history()
    assert line["train_loss"] > 0
    record = DataRecord.read(run.folder)
    assert [(each.dataset, each.count, each.taught) for each in record.learnt] == [
        ("unlabelled", 4, False),
        ("", 0, True),
    ]
    assert record.learnt_among(DATASETS["unlabelled"](place, "train")) == 4


@pytest.mark.slow
def test_offsets_of_classes_are_fitted_to_the_pictures_that_have_masks(taught, tmp_path):
    run = taught(UNLABELLED, SCENES)
    export_run(run.folder, Release(name="student", balance=True), roots={}, models=Catalog([tmp_path / "out"]))
    card = Catalog([tmp_path / "out"]).get("student").card
    assert "4 pictures of folder train, without masks (train); 5 pictures of generated street scenes" in card.dataset


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            [f"data=[{UNLABELLED}]"],
            r"line \d+: data\[0\].dataset: got 'unlabelled'; allowed: data sets with masks, unl",
        ),
        (
            [f"validation={UNLABELLED}"],
            r"line \d+: validation.dataset: got 'unlabelled'; allowed: data sets with masks",
        ),
    ],
)
def test_without_a_teacher_and_for_validation_they_are_refused(roots, tmp_path, settings, message):
    with pytest.raises(RecipeError, match=message):
        tiny_order(tmp_path, roots, settings).recipe()
