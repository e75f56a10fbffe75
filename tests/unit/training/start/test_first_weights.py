"""What a network began with is told with its terms, and never passed over."""

import hashlib
from typing import Any

import pytest
import torch

from storage.hub_catalog import load_hub_catalog
from tests.tiny_runs import tiny_training
from training.export.card import FinishedRun, Release, card_of
from training.lineage import NOT_TOLD, DataRecord
from training.models.parts.imagenet import PACKAGED
from training.recipe.building import build_model
from training.recipe.recipe import ModelChoice
from training.spaces import find_label_space
from training.start.first_weights import learnt_before

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "options", [{}, {"encoder": "resnet34"}, {"encoder_weights": None}, {"hub": "a/b@c", "pretrained": False}]
)
def test_of_random_weights_there_is_nothing_to_tell(options):
    assert learnt_before(options) == ()


def test_a_network_of_the_hub_has_the_licence_of_its_authors():
    """Whoever fine-tunes it and exports the result must not read `from scratch` and the own pictures' terms alone."""
    known = next(iter(load_hub_catalog().values()))
    (told,) = learnt_before({"hub": f"{known.hub}@{COMMIT}"})
    assert told.licence == f"{known.licence} {known.licence_url}"
    assert (told.run, told.marks) == (f"{known.hub} (commit 0123456789ab)", ())
    (stranger,) = learnt_before({"hub": f"somebody/else@{COMMIT}"})
    assert (stranger.licence, stranger.source) == (NOT_TOLD, "https://huggingface.co/somebody/else")
    (folder,) = learnt_before({"folder": "somewhere/weights"})
    assert (folder.run, folder.licence) == ("weights", NOT_TOLD)


def test_weights_of_a_package_are_told_with_its_checksum_and_licence():
    known = PACKAGED["tf_efficientnet_lite0"]
    (told,) = learnt_before({"encoder": "tu-tf_efficientnet_lite0", "encoder_weights": "imagenet"})
    assert told.run == f"the package {known.package} (sha256 {known.sha256[:16]})"
    assert "Apache-2.0" in told.licence
    assert DataRecord(train=(), validation=(), learnt=(told,)).is_whole  # no photograph of ImageNet is in a data set
    (other,) = learnt_before({"encoder": "resnet18", "encoder_weights": "imagenet"})
    assert "ImageNet weights of resnet18" in other.licence
    (pinned,) = learnt_before({"encoder": "tu-mobilenetv3_small_050", "encoder_weights": COMMIT})
    assert COMMIT in pinned.run


def test_a_run_and_its_card_and_its_heirs_tell_what_an_encoder_began_with(tmp_path, rendered):
    roots, file = {"scenes": rendered}, tmp_path / "encoder.pth"
    choice = ModelChoice(architecture="fpn", options={"encoder": "tu-test_resnet"})
    model: Any = build_model(choice, find_label_space("camvid-11"))
    torch.save(model.encoder.model.state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    weights = f"model.options.encoder_weights={file}"
    run = tiny_training(tmp_path, roots, ["name=first", "stages[0].epochs=1", weights])
    heir = tiny_training(tmp_path, roots, ["name=heir", "stages[0].epochs=1", "start.from=first"])
    onnx = tmp_path / "model.onnx"
    onnx.write_bytes(b"weights")
    for folder in (run, heir):
        record = DataRecord.read(folder)
        assert f"encoder.pth (sha256 {digest})" in [each.run for each in record.learnt]
        assert not record.is_whole
        card = card_of(FinishedRun.read(folder, roots), Release(name="tiny"), {"onnx": onnx}, {}, [])
        assert f"It began with weights of encoder.pth (sha256 {digest})" in card.dataset
        assert "licence not told" in card.licence
