"""What a training finds out about its data before the first epoch, in the recipe's words."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from segmentation.label_space import LabelClass, LabelSpace
from segmentation.preprocessing import Preprocessing
from tests.tiny_runs import tiny_order, tiny_training
from training.datasets.pairs import NO_CHANNEL, About, DatasetError, InSpace, PairDataset
from training.fit.losses import SegmentationLoss
from training.fit.processes import Processes
from training.fit.progress import NullWatcher
from training.fit.train import Places, check_batches, prepare_data, train, warn_of_mirrored_classes
from training.fit.validation import validate
from training.recipe.building import build_model
from training.recipe.recipe import ModelChoice, RecipeError
from training.runs import Run
from training.spaces import find_label_space
from training.tracking import NullTracker


@pytest.fixture
def field(tmp_path):
    """Writes pictures with masks of two values into a data set; gives what the recipe says of it."""

    def write(count: int, foreground: int) -> list[str]:
        for kind in ("images", "masks"):
            (tmp_path / "field" / kind).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = np.zeros((64, 64), np.uint8)
                pixels[:, 32:] = foreground if kind == "masks" else number
                Image.fromarray(pixels).save(tmp_path / "field" / kind / f"{number}.png")
        of = 'dataset="folder", options={label_space="camvid-11"}'
        return [f"data=[{{{of}}}]", f"validation={{{of}}}", "stages[0].epochs=1"]

    return write


@pytest.fixture
def roots(tmp_path):
    return {"folder": tmp_path / "field"}


def test_ids_without_a_meaning_end_a_training_before_its_first_epoch(field, roots, tmp_path):
    with pytest.raises(DatasetError, match=r"masks.\d\.png holds ids that camvid-11 .* id 255 \(50\.0 %\)"):
        tiny_training(tmp_path, roots, field(2, 255))
    assert not (tmp_path / "tiny" / "checkpoint.pt").exists()


def test_a_recipe_may_ignore_them_and_a_warning_tells(field, roots, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        run = tiny_training(tmp_path, roots, [*field(2, 255), "unknown_ids=ignore"])
    assert Run.open(run).epochs_done == 1
    assert any("masks with ids that camvid-11 does not know: 2 of 2" in each.getMessage() for each in caplog.records)


def test_a_broken_picture_ends_a_training_before_its_first_epoch(field, roots, tmp_path):
    settings = field(3, 1)
    (tmp_path / "field" / "images" / "1.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"images.1\.png cannot be used: the file is empty"):
        tiny_training(tmp_path, roots, settings)


def test_whoever_watches_sees_the_files_being_checked(field, roots, tmp_path):
    class Watching(NullWatcher):
        def __init__(self):
            self.begun, self.pictures = [], 0

        def checking_begins(self, pictures):
            self.begun.append(pictures)

        def picture(self):
            self.pictures += 1

    recipe, watcher = tiny_order(tmp_path, roots, field(2, 1)).recipe(), Watching()
    train(recipe, folder=tmp_path / "tiny", places=Places(roots=roots), tracker=NullTracker(), watcher=watcher)
    assert watcher.begun == [4]  # learnt from and validated on
    assert watcher.pictures == 4 + 2


def test_fewer_pictures_than_a_batch_needs_are_told_in_the_recipes_words(field, roots, tmp_path):
    settings = ['model={architecture="deeplabv3"}', *field(1, 1)]
    with pytest.raises(RecipeError, match=r"data: stages\[0\] learns from 1 picture; a batch needs 2 or more"):
        tiny_training(tmp_path, roots, settings)


def test_of_several_processes_each_needs_its_pictures(field, roots, tmp_path):
    recipe = tiny_order(tmp_path, roots, field(3, 1)).recipe()
    data = prepare_data(recipe, roots, find_label_space(recipe.label_space))
    check_batches(recipe, data, Processes())
    with pytest.raises(
        RecipeError, match=r"learns from 3 pictures; a batch needs 4 or more .*2 for each of 2 processes"
    ):
        check_batches(recipe, data, Processes(count=2))


def test_a_batch_of_more_pictures_than_there_are_is_told(field, roots, tmp_path, caplog):
    recipe = tiny_order(tmp_path, roots, [*field(3, 1), "stages[0].batch_size=4"]).recipe()
    data = prepare_data(recipe, roots, find_label_space(recipe.label_space))
    check_batches(recipe, data, Processes())
    (told,) = [each.getMessage() for each in caplog.records]
    assert told.startswith("stages[0].batch_size: got 4, more than the pictures (3)")


def test_a_validation_picture_of_which_no_pixel_counts_makes_the_loss_no_better():
    space = find_label_space("camvid-11")
    loss_of, preprocessing = SegmentationLoss(ignore_id=NO_CHANNEL), Preprocessing(long_side=32)
    model = build_model(ModelChoice(architecture="fpn", options={"encoder": "tu-test_resnet"}), space)
    known, nothing = np.full((32, 32), 3, np.uint8), np.full((32, 32), 11, np.uint8)
    picture = np.zeros((32, 32, 3), np.uint8)
    alone, both = (
        validate(model, pictures, loss_of=loss_of, space=space, preprocessing=preprocessing).numbers["val_loss"]
        for pictures in ([(picture, known)], [(picture, known), (picture, nothing)])
    )
    assert both == alone > 0


def test_classes_that_the_validation_masks_cannot_show_are_left_out_of_its_means(tmp_path):
    """The model says sky on the left and building on the right; the masks know the sky alone."""
    space = find_label_space("camvid-11")
    up = LabelSpace("up", (LabelClass(0, "air", (1, 2, 3), "sky"),), mappings={space.name: {0: 0}})
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, 16:] = 255
    files = tmp_path / "picture.png", tmp_path / "mask.png"
    for pixels, file in zip((picture, picture[:, :, 0] * 0), files, strict=True):
        Image.fromarray(pixels).save(file)
    model = torch.nn.Conv2d(3, len(space.class_ids), 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    model.weight.data[0], model.weight.data[1] = -1, 1  # dark is sky
    pictures = InSpace(PairDataset([files], space=up, about=About(title="", licence="")), space)
    loss_of, preprocessing = SegmentationLoss(ignore_id=NO_CHANNEL), Preprocessing(long_side=32)
    numbers = validate(model, pictures, loss_of=loss_of, space=space, preprocessing=preprocessing).numbers
    assert (numbers["miou"], numbers["iou/sky"], numbers["iou/building"]) == (0.5, 0.5, 0)


def test_who_validates_on_other_pictures_than_before_is_warned(field, roots, tmp_path, caplog):
    settings = field(2, 1)
    tiny_training(tmp_path, roots, settings)
    tiny_training(tmp_path, roots, [*settings, "stages[0].epochs=2"])
    assert "the validation pictures of" not in caplog.text
    tiny_training(tmp_path, roots, [*field(3, 1), "stages[0].epochs=3"])
    assert "the validation pictures of" in caplog.text


@pytest.mark.parametrize(("flip", "told"), [(0.5, True), (0.0, False)])
def test_classes_that_a_mirror_exchanges_are_told_where_pictures_are_mirrored(tmp_path, caplog, flip, told):
    names = ("road", "Left lane", "right", "Right lane")
    classes = tuple(LabelClass(number, name, (number, 9, 9), "flat") for number, name in enumerate(names))
    recipe = tiny_order(tmp_path, {}, [f"augmentation.flip={flip}"]).recipe()
    warn_of_mirrored_classes(recipe, LabelSpace("lanes", classes))
    assert ("Left lane and Right lane of lanes are taught as one another" in caplog.text) == told
