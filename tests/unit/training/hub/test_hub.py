"""Models come from the hub at a commit that somebody has looked at, whole, as safetensors, with their authors named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from segmentation.errors import InvalidModelCard
from segmentation.label_spaces import get_label_space
from storage.catalog import Catalog, NameTaken
from storage.hub_catalog import HubModel
from tests.hub_server import Hub, hub_server
from training.datasets.cityscapes import cityscapes
from training.evaluate.held_out import Overlap, overlap
from training.evaluate.subjects import open_subject
from training.hub.bundle import (
    AnotherNetwork,
    LabelsDiffer,
    Order,
    UnknownPreprocessing,
    check_labels,
    pull,
    read_preprocessing,
)
from training.hub.files import (
    CommitNotAccepted,
    Consent,
    HubError,
    HubNotFound,
    HubUnreachable,
    PicklesOnly,
    choose_commit,
    fetch,
)
from training.models.parts.errors import ModelError, UnsafeWeights, WeightsDamaged

REPOSITORY = "owner/toy"
CONVERTED = "refs/pr/3"
PICTURES = {
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.25, 0.25],
    "do_rescale": True,
    "rescale_factor": 1 / 255,
}

MODEL = HubModel(
    name="toy-cityscapes",
    hub=REPOSITORY,
    ref=CONVERTED,
    architecture="segformer",
    label_space="cityscapes-19",
    parameters_m=0.024,
    download_mb=1,
    long_side=64,
    published_miou=0.762,
    published_on="Cityscapes val",
    published_in="https://example.org/paper",
    licence="For research alone.",
    licence_url="https://example.org/licence",
    commercial_use=False,
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `save_pretrained` writes it, and as the repositories of the catalogue hold it, but of the smallest size."""
    import training.torchvision_guard  # noqa: F401  isort: skip
    import transformers

    space = get_label_space("cityscapes-19")
    labels = {number: space.by_id[ident].name for number, ident in enumerate(space.class_ids)}
    configuration = transformers.SegformerConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        id2label=labels,
        label2id={name: number for number, name in labels.items()},
    )
    folder = tmp_path_factory.mktemp("checkpoint")
    transformers.SegformerForSemanticSegmentation(configuration).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PICTURES))
    return folder


@pytest.fixture
def hub(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Pickles on `main`, safetensors in a pull request: as NVIDIA's repositories are."""
    files = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    pickled = {name: data for name, data in files.items() if not name.endswith(".safetensors")}
    hub = Hub()
    hub.add(REPOSITORY, "main", {**pickled, "pytorch_model.bin": b"a pickle"})
    hub.add(REPOSITORY, CONVERTED, files)
    with hub_server(hub):
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield hub


def test_a_network_of_another_size_than_the_catalogue_says_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    larger = replace(MODEL, parameters_m=3.8)
    with pytest.raises(AnotherNetwork, match=r"holds a network of 0.0\d+ M parameters, and toy-cityscapes has 3.8 M"):
        pull(order(tmp_path, larger, folder=checkpoint), print)
    assert not (tmp_path / "models").exists()


def order(tmp_path: Path, model: HubModel = MODEL, **changes: Any) -> Order:
    given = {
        "model": model,
        "name": model.name,
        "models": Catalog([tmp_path / "models"]),
        "consent": Consent(unpinned=True),
    }
    return Order(**{**given, **changes})


def test_a_name_that_no_model_may_have_is_told_before_anything_is_fetched(tmp_path: Path):
    with pytest.raises(InvalidModelCard, match="name must be lower-case letters"):
        order(tmp_path, name="My model")


def commit_of(hub: Hub, ref: str = CONVERTED) -> str:
    return hub.refs[REPOSITORY][ref]


def test_a_pulled_model_is_a_bundle_that_names_its_authors(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    commit = commit_of(hub)
    hub.cut.add("model.safetensors")  # breaks off once: resumed, never used as it is
    said: list[str] = []
    bundle = pull(order(tmp_path, replace(MODEL, ref="", revision=commit), consent=Consent()), said.append)
    card = bundle.card
    assert Catalog([tmp_path / "models"]).card("toy-cityscapes") == card
    bundle.verify()
    assert (card.version, card.commit, card.output_stride) == (commit[:12], commit, 4)
    assert card.source.endswith(f"{REPOSITORY}/tree/{commit}")
    assert card.licence.startswith("For research alone.")
    assert (dict(card.scores), "0.762" in card.description) == ({}, True)
    assert "Not measured here" in card.description
    assert (card.preprocessing.long_side, card.preprocessing.mean) == (64, (0.5, 0.5, 0.5))
    assert any("pinned by the catalogue" in line for line in said)
    assert "pytorch_model.bin" not in hub.downloads
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # what is pinned and here is enough
    kept = choose_commit(replace(MODEL, ref="", revision=commit), Consent())
    assert (kept.sha, (fetch(kept) / "model.safetensors").is_file()) == (commit, True)


def test_a_folder_fetched_elsewhere_is_converted_without_a_network(checkpoint: Path, tmp_path: Path):
    bundle = pull(order(tmp_path, name="mine", folder=checkpoint, long_side=96), lambda line: None)
    assert (bundle.card.name, bundle.card.commit) == ("mine", "")
    assert bundle.card.preprocessing.long_side == 96
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text("{}")
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(UnsafeWeights):
        pull(order(tmp_path, folder=tmp_path / "pickled"), lambda line: None)
    damaged = shutil.copytree(checkpoint, tmp_path / "damaged") / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(WeightsDamaged, match="damaged cannot be read"):
        pull(order(tmp_path, folder=damaged.parent), lambda line: None)


def test_a_model_pulled_again_is_the_same_and_another_one_must_be_wanted(checkpoint: Path, tmp_path: Path):
    pulled = [pull(order(tmp_path, folder=checkpoint), lambda line: None).card for _ in range(2)]
    assert pulled[0] == pulled[1]
    other = order(tmp_path, folder=checkpoint, long_side=96)
    with pytest.raises(NameTaken, match="--replace"):
        pull(other, lambda line: None)
    assert Catalog([tmp_path / "models"]).card(other.name) == pulled[0]
    assert pull(replace(other, replace=True), lambda line: None).card.preprocessing.long_side == 96


def test_whoever_scores_a_pulled_model_on_what_its_authors_trained_on_is_told(checkpoint: Path, tmp_path: Path):
    pull(order(tmp_path, folder=checkpoint), lambda line: None)
    subject = open_subject(MODEL.name, models=[tmp_path / "models"], runs=tmp_path)
    for kind, end in (("leftImg8bit", "_leftImg8bit.png"), ("gtFine", "_gtFine_labelIds.png")):
        for split in ("train", "val"):
            place = tmp_path / kind / split / "aachen"
            place.mkdir(parents=True)
            (place / f"x{end}").write_bytes(b"")
    found = {split: overlap(subject, cityscapes(tmp_path, split), split=split) for split in ("train", "val")}
    assert (found["train"].learnt, found["val"]) == (1, Overlap(None))
    assert "as its card says" in found["train"].warning


def test_a_damaged_download_is_not_used(hub: Hub, tmp_path: Path):
    hub.damaged.add("model.safetensors")
    with pytest.raises(WeightsDamaged):
        pull(order(tmp_path), lambda line: None)
    assert not (tmp_path / "models").exists()
    assert not list((tmp_path / "cache").rglob("model.safetensors"))


def test_pickles_are_refused_with_what_to_do(hub: Hub, tmp_path: Path):
    with pytest.raises(PicklesOnly, match=r"pytorch_model\.bin.*--revision refs/pr/N"):
        pull(order(tmp_path, replace(MODEL, ref="main")), lambda line: None)
    assert hub.downloads == []


def test_what_nobody_pinned_must_be_accepted(hub: Hub):
    commit = commit_of(hub)
    with pytest.raises(CommitNotAccepted, match=f"--accept-revision {commit}"):
        choose_commit(MODEL, Consent())
    assert choose_commit(MODEL, Consent(accepted=commit)).sha == commit
    assert choose_commit(MODEL, Consent(unpinned=True)).sha == commit
    with pytest.raises(CommitNotAccepted, match="now, not"):
        choose_commit(MODEL, Consent(accepted="0" * 40))


def test_a_commit_that_begins_as_the_catalogue_says_is_taken(hub: Hub):
    commit = commit_of(hub)
    assert choose_commit(replace(MODEL, commit_begins=commit[:8]), Consent()).sha == commit
    with pytest.raises(CommitNotAccepted, match="the catalogue knows 00000000…"):
        choose_commit(replace(MODEL, commit_begins="00000000"), Consent())


def test_a_revision_of_the_users_choice_is_taken_when_it_is_a_whole_commit(hub: Hub):
    commit = commit_of(hub)
    pinned = replace(MODEL, ref="", revision="0" * 40)
    assert choose_commit(pinned, Consent(revision=commit)).because == "named by you"
    with pytest.raises(CommitNotAccepted):
        choose_commit(pinned, Consent(revision=CONVERTED))
    assert choose_commit(pinned, Consent(revision=CONVERTED, accepted=commit)).sha == commit


def test_what_the_hub_does_not_have_is_said(hub: Hub):
    with pytest.raises(HubNotFound, match="no revision refs/pr/9"):
        choose_commit(replace(MODEL, ref="refs/pr/9"), Consent())
    with pytest.raises(HubNotFound, match="no repository owner/none"):
        choose_commit(replace(MODEL, hub="owner/none"), Consent())


def test_without_a_network_it_is_said_what_still_works(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubUnreachable, match="models that are here already keep working"):
        choose_commit(MODEL, Consent())


def test_every_error_has_a_code_of_its_own():
    kinds: list[type[HubError | ModelError]] = [*HubError.__subclasses__()]
    kinds += ModelError.__subclasses__()
    assert len({each.code for each in kinds}) == len(kinds)


def test_classes_must_be_those_of_the_label_space_in_its_order(tmp_path: Path):
    space = get_label_space("cityscapes-19")
    right = {str(number): space.by_id[ident].name for number, ident in enumerate(space.class_ids)}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"id2label": right}))
    check_labels(path, space)
    for wrong, said in (
        ({**right, "0": right["1"], "1": right["0"]}, "class 0 is 'sidewalk' in the checkpoint and 'road'"),
        ({**right, "19": "cat"}, "class 19 is 'cat'"),
        ({"0": "road"}, "class 1 is 'missing'"),
    ):
        path.write_text(json.dumps({"id2label": wrong}))
        with pytest.raises(LabelsDiffer, match=said):
            check_labels(path, space)


def test_preprocessing_that_cannot_be_given_is_refused(tmp_path: Path):
    path = tmp_path / "preprocessor_config.json"
    assert read_preprocessing(path, long_side=64).mean[0] == pytest.approx(0.485)
    for text in (
        '{"do_rescale": false}',
        '{"rescale_factor": 1}',
        '{"do_normalize": false}',
        '{"image_std": [1]}',
        "[]",
        "{",
    ):
        path.write_text(text)
        with pytest.raises(UnknownPreprocessing):
            read_preprocessing(path, long_side=64)
