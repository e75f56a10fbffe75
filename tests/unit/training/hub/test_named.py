"""Any SegFormer or Mask2Former of the hub, at the whole commit that the user names, with the classes that they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner, Result

from maskmill.cli.app import app
from segmentation.label_spaces import get_label_space
from storage.catalog import Catalog
from storage.hub_catalog import load_hub_catalog
from tests.hub_server import Hub, hub_server
from tests.tiny_architectures import build
from training.hub.bundle import LabelsDiffer
from training.hub.named import UNKNOWN_LICENCE, InvalidNamedModel, NamedModel, licence_of
from training.models.parts.errors import RevisionNotPinned

COMMIT = "a" * 40
CLASSES = [
    {"id": 0, "name": "Lawn", "colour": [9, 99, 9], "group": "nature"},
    {"id": 1, "name": "hedge_row", "colour": [9, 9, 99], "group": "nature"},
]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `save_pretrained` writes them, of two classes of somebody's own and with a model card, and of Cityscapes."""
    import training.torchvision_guard  # noqa: F401  isort: skip
    import transformers

    place = tmp_path_factory.mktemp("checkpoints")
    sizes: dict[str, Any] = {
        "hidden_sizes": [8, 8, 16, 16],
        "depths": [1] * 4,
        "num_attention_heads": [1] * 4,
        "decoder_hidden_size": 8,
    }
    config = transformers.SegformerConfig(**sizes, id2label={0: "lawn", 1: "hedge row"})
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(place / "garden")
    (place / "garden" / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Garden\n")
    space = get_label_space("cityscapes-19")
    network = build("mask2former", 19, size="tiny").network
    network.config.id2label = {number: space.by_id[each].name for number, each in enumerate(space.class_ids)}
    network.save_pretrained(place / "streets")
    return place


@pytest.fixture
def hub(checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hub = Hub()
    for name in ("garden", "streets"):
        hub.add(f"Some-one/{name}", "main", {each.name: each.read_bytes() for each in (checkpoints / name).iterdir()})
    monkeypatch.setenv("MASKMILL_HOME", str(tmp_path / "home"))
    with hub_server(hub):
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield hub


@pytest.fixture
def own_space(tmp_path: Path) -> Path:
    path = tmp_path / "garden.json"
    path.write_text(json.dumps({"name": "garden", "classes": CLASSES, "ignore_id": 255, "mappings": {}}))
    return path


def pull(*words: object) -> Result:
    return CliRunner().invoke(app, ["models", "pull", *map(str, words)], catch_exceptions=False)


def test_a_model_of_ones_own_classes_is_served_with_them_and_the_licence_of_its_card(
    hub: Hub, own_space: Path, tmp_path: Path
):
    commit = hub.refs["Some-one/garden"]["main"]
    done = pull(f"Some-one/garden@{commit}", "--architecture", "segformer", "--label-space", own_space)
    assert done.exit_code == 0, done.stderr
    assert hub.downloads.index("README.md") < hub.downloads.index("model.safetensors")
    assert "As its model card says: apache-2.0." in done.stderr
    bundle = Catalog([tmp_path / "home" / "models"]).get("garden")
    bundle.verify()
    assert (bundle.card.licence, bundle.card.commit) == ("As its model card says: apache-2.0.", commit)
    assert (bundle.card.label_space, bundle.space().names()) == ("garden", ("Lawn", "hedge_row"))
    assert "in no catalogue. Not measured here." in bundle.card.description
    assert bundle.card.source.endswith(f"Some-one/garden/tree/{commit}")


def test_a_mask2former_without_a_model_card_has_an_unknown_licence(hub: Hub, tmp_path: Path):
    commit = hub.refs["Some-one/streets"]["main"]
    more = ("--architecture", "mask2former", "--label-space", "cityscapes-19", "--name", "mine", "--long-side", 64)
    done = pull(f"Some-one/streets@{commit}", *more)
    assert done.exit_code == 0, done.stderr
    assert UNKNOWN_LICENCE in done.stderr
    card = Catalog([tmp_path / "home" / "models"]).card("mine")
    assert (card.licence, card.label_space, card.preprocessing.long_side) == (UNKNOWN_LICENCE, "cityscapes-19", 64)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["Some-one/garden"], "revision_not_pinned"),
        (["Some-one/garden@main"], "revision_not_pinned"),
        ([f"Some-one/garden@{COMMIT[:7]}"], "revision_not_pinned"),
        ([f"Some-one/garden@{COMMIT}"], "invalid_hub_model"),
        ([f"Some-one/garden@{COMMIT}", "--architecture", "unet"], "invalid_hub_model"),
        ([f"Some-one/garden@{COMMIT}", "--architecture", "segformer"], "invalid_hub_model"),
        ([f"../garden@{COMMIT}", "--architecture", "segformer"], "invalid_hub_model"),
        ([f"Some-one/garden@{COMMIT}", "--architecture", "segformer", "--label-space", "camvid-11"], "hub_not_found"),
        ([f"Some-one/garden@{COMMIT}", "--unpinned"], "invalid_input"),
        (["segformer-b0-cityscapes", "--label-space", "camvid-11"], "invalid_input"),
        (
            [f"Some-one/garden@{COMMIT}", "--architecture", "segformer", "--label-space", "moon"],
            "label_space_not_found",
        ),
    ],
)
def test_what_is_not_said_in_full_is_refused_before_anything_is_fetched(hub: Hub, words: list[str], code: str):
    done = pull(*words, "--json")
    assert (done.exit_code, json.loads(done.stdout)["error"]["code"]) == (1, code)
    assert hub.downloads == []


def test_other_classes_than_the_checkpoint_names_are_refused(hub: Hub):
    commit = hub.refs["Some-one/garden"]["main"]
    done = pull(f"Some-one/garden@{commit}", "--architecture", "segformer", "--label-space", "camvid-11", "--json")
    assert json.loads(done.stdout)["error"]["code"] == LabelsDiffer.code


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("---\nlicense: other\nlicense_name: nv\nlicense_link: https://x.y/z\n---\n", "other, nv, https://x.y/z"),
        ("---\nlicense: [mit]\n---\n", ""),
        ("---\n: : :\n---\n", ""),
        ("# no head", ""),
    ],
)
def test_the_licence_is_what_the_model_card_says(tmp_path: Path, text: str, said: str):
    model = NamedModel(hub="some/one", revision=COMMIT, architecture="segformer", label_space="camvid-11")
    (tmp_path / "README.md").write_text(text)
    assert licence_of(model, tmp_path) == (f"As its model card says: {said}." if said else UNKNOWN_LICENCE)
    assert licence_of(model, None) == UNKNOWN_LICENCE


def test_a_repository_of_the_catalogue_keeps_the_terms_that_it_says(tmp_path: Path):
    known = next(iter(load_hub_catalog().values()))
    model = NamedModel(hub=known.hub, revision=COMMIT, architecture="segformer", label_space="cityscapes-19")
    assert licence_of(model, tmp_path) == f"{known.licence} {known.licence_url}"


def test_what_is_named_wrongly_says_what_is_allowed():
    with pytest.raises(RevisionNotPinned, match="40 lower-case hexadecimal digits"):
        NamedModel(hub="some/one", revision="main", architecture="segformer", label_space="camvid-11")
    with pytest.raises(InvalidNamedModel, match="segformer, mask2former"):
        NamedModel(hub="some/one", revision=COMMIT, architecture="", label_space="camvid-11")
