"""Networks of transformers that begin with an encoder alone, as ImageNet classifiers hold one."""

import training.torchvision_guard  # noqa: F401  isort: skip  before transformers imports torchvision
import pytest
import torch
import transformers

from segmentation.label_spaces import LABEL_SPACES
from storage.catalog import Catalog
from tests.tiny_architectures import build
from tests.tiny_runs import tiny_training
from training.export.card import Release
from training.export.export import export_run
from training.lineage import NOT_TOLD
from training.models.parts.errors import WeightsDoNotFit
from training.recipe.building import build_empty_model
from training.recipe.recipe import ModelChoice

CLASSES = 4
SWIN = {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 7}
MIX = {"hidden_sizes": [8, 8, 16, 16], "depths": [1] * 4, "num_attention_heads": [1] * 4, "decoder_hidden_size": 8}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """As `save_pretrained` writes them: what the hub has of nvidia/mit-b0 and microsoft/swin-…, in small."""
    torch.manual_seed(3)
    place = tmp_path_factory.mktemp("encoders")
    mix, swin = transformers.SegformerConfig(**MIX, num_labels=10), transformers.SwinConfig(**SWIN, num_labels=10)
    networks = {
        "mit": transformers.SegformerForImageClassification(mix),
        "segformer": transformers.SegformerForSemanticSegmentation(mix),
        "swin": transformers.SwinForImageClassification(swin),
        "mask2former": build("mask2former", 10, size="tiny").network,
    }
    for name, network in networks.items():
        network.save_pretrained(place / name)
    return place


@pytest.mark.parametrize(
    ("name", "network_class"),
    [
        ("mit", transformers.SegformerForImageClassification),
        ("segformer", transformers.SegformerForSemanticSegmentation),
    ],
)
def test_a_segformer_begins_with_the_encoder_alone(folders, name, network_class):
    theirs = network_class.from_pretrained(folders / name).state_dict()
    model = build("segformer", CLASSES, folder=folders / name, pretrained="encoder")
    ours = model.network.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs if key.startswith("segformer."))
    fresh = "decode_head.linear_fuse.weight"
    assert fresh not in theirs or not torch.equal(ours[fresh], theirs[fresh])
    assert model.training
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, CLASSES, 16, 16)


def test_a_mask2former_begins_with_a_swin(folders):
    theirs = transformers.SwinForImageClassification.from_pretrained(folders / "swin").state_dict()
    model = build("mask2former", CLASSES, size="tiny", folder=folders / "swin", pretrained="encoder")
    ours = model.encoder.state_dict()
    same = [key for key in ours if key in theirs and torch.equal(ours[key], theirs[key])]
    assert [key for key in ours if key not in same and not key.startswith("hidden_states_norms.")] == []
    assert sum(key.startswith("swin.") for key in same) > 20
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, CLASSES, 16, 16)


def test_a_mask2former_begins_with_the_encoder_of_another(folders):
    whole = build("mask2former", 10, folder=folders / "mask2former").network.state_dict()
    model = build("mask2former", CLASSES, folder=folders / "mask2former", pretrained="encoder")
    same = {key for key, tensor in model.network.state_dict().items() if torch.equal(tensor, whole[key])}
    encoder = {f"model.pixel_level_module.encoder.{key}" for key in model.encoder.state_dict()}
    assert encoder <= same
    assert "model.transformer_module.queries_features.weight" not in same


@pytest.mark.parametrize(
    ("architecture", "folder", "options", "said"),
    [
        ("segformer", "mit", {}, r"differ in classifier\.bias.*; pretrained = 'encoder' takes"),
        ("segformer", "swin", {"pretrained": "encoder"}, r"of type 'swin'; expected 'segformer'$"),
        ("mask2former", "swin", {}, r"of type 'swin'; expected 'mask2former'; with pretrained = 'encoder' also 'swin'"),
        ("mask2former", "mit", {"pretrained": "encoder"}, r"of type 'segformer'; expected 'mask2former' or 'swin'$"),
    ],
)
def test_another_kind_of_folder_is_refused_in_a_sentence(folders, architecture, folder, options, said):
    with pytest.raises(WeightsDoNotFit, match=said):
        build(architecture, CLASSES, folder=folders / folder, **options)


def test_weights_without_the_whole_encoder_are_refused(folders, tmp_path):
    small = transformers.SegformerForImageClassification(
        transformers.SegformerConfig(**{**MIX, "depths": [1, 1, 1, 2]})
    )
    small.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((folders / "mit" / "model.safetensors").read_bytes())
    with pytest.raises(WeightsDoNotFit, match=r"no encoder of this kind: it lacks .*stages\.3"):
        build("segformer", CLASSES, folder=tmp_path, pretrained="encoder")


@pytest.mark.parametrize(("architecture", "folder"), [("segformer", "mit"), ("mask2former", "swin")])
def test_a_run_is_opened_without_the_weights_that_it_began_with(folders, tmp_path, architecture, folder):
    (tmp_path / "config.json").write_bytes((folders / folder / "config.json").read_bytes())
    options = {"folder": str(tmp_path), "pretrained": "encoder"} | ({"size": "tiny"} if folder == "swin" else {})
    empty = build_empty_model(ModelChoice(architecture=architecture, options=options), LABEL_SPACES["camvid-11"])
    whole = build(architecture, 11, **{**options, "folder": folders / folder})
    assert {key: each.shape for key, each in empty.state_dict().items()} == {
        key: each.shape for key, each in whole.state_dict().items()
    }


def test_the_card_tells_whose_encoder_it_was(folders, tmp_path, rendered):
    roots = {"scenes": rendered}
    options = f'{{ folder = "{folders / "mit"}", pretrained = "encoder" }}'
    settings = ["model.architecture=segformer", f"model.options={options}", "stages[0].epochs=1"]
    run = tiny_training(tmp_path / "runs", roots, settings)
    card = export_run(run, Release(name="mixed"), roots=roots, models=Catalog([tmp_path / "models"])).card
    assert "with an encoder that began with the weights mit; averaged" in card.description
    assert f"data that nothing tells of: licence {NOT_TOLD}." in card.licence
