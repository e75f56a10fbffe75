"""A bundle may bring its label space along; two of one name that differ never mix."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import ModelFailed
from segmentation.errors import InvalidLabelSpace, UnknownLabelSpace
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import LABEL_SPACES
from segmentation.model_card import ModelCard
from storage.catalog import Bundle, Catalog
from tests.factories import make_card

BLOB = LabelSpace("blob", (LabelClass(0, "bg", (0, 0, 0), "ground"), LabelClass(1, "blob", (200, 0, 0), "thing")))
OTHER_BLOB = replace(BLOB, classes=(*BLOB.classes, LabelClass(2, "drop", (0, 0, 200), "thing")))
FILE = "label_space.json"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog([tmp_path / "models"])


def files(tmp_path: Path, space: LabelSpace) -> dict[str, Path]:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    (tmp_path / FILE).write_text(json.dumps(space.to_dict()), encoding="utf-8")
    return {name: tmp_path / name for name in ("model.onnx", FILE)}


def card(name: str, found: dict[str, Path], **changes: Any) -> ModelCard:
    digests = {each: hashlib.sha256(path.read_bytes()).hexdigest() for each, path in found.items()}
    return make_card(name, label_space="blob", label_space_file=FILE, sha256=digests, **changes)


def publish(catalog: Catalog, tmp_path: Path, name: str = "mine", space: LabelSpace = BLOB) -> Bundle:
    found = files(tmp_path, space)
    return catalog.publish(card(name, found), found, replace=True)


def test_the_label_space_of_a_bundle_is_found_beside_the_published_ones(catalog: Catalog, tmp_path: Path):
    bundle = publish(catalog, tmp_path)
    assert bundle.space() == BLOB
    assert catalog.label_spaces().get("blob") == BLOB
    assert catalog.label_spaces().names() == [*LABEL_SPACES, "blob"]


def test_without_such_a_bundle_only_the_published_ones_are_there(catalog: Catalog):
    with pytest.raises(UnknownLabelSpace, match="no label space is called 'blob'; there are cityscapes-34"):
        catalog.label_spaces().get("blob")


def test_two_models_may_share_a_label_space(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path, "one")
    publish(catalog, tmp_path, "two")
    assert [each.name for each in catalog.list()] == ["one", "two"]
    assert catalog.label_spaces().names().count("blob") == 1


def test_another_label_space_of_the_same_name_is_refused(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path, "one")
    with pytest.raises(InvalidLabelSpace, match="there is another label space called 'blob'"):
        publish(catalog, tmp_path, "two", OTHER_BLOB)
    assert [each.name for each in catalog.list()] == ["one"]


def test_a_model_may_be_replaced_with_its_label_space(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path, "one")
    publish(catalog, tmp_path, "one", OTHER_BLOB)
    assert catalog.label_spaces().get("blob") == OTHER_BLOB


def test_of_two_that_were_put_there_by_hand_the_first_counts(
    catalog: Catalog, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    publish(catalog, tmp_path, "one")
    publish(Catalog([tmp_path / "elsewhere"]), tmp_path, "two", OTHER_BLOB)
    (tmp_path / "elsewhere" / "two").rename(tmp_path / "models" / "two")
    assert [each.name for each in catalog.list()] == ["one"]
    assert catalog.label_spaces().get("blob") == BLOB
    assert "another label space called 'blob'" in caplog.text


def test_a_published_name_cannot_be_given_to_other_classes(catalog: Catalog, tmp_path: Path):
    found = files(tmp_path, replace(BLOB, name="camvid-11"))
    with pytest.raises(InvalidLabelSpace, match="another label space called 'camvid-11'"):
        catalog.publish(replace(card("mine", found), label_space="camvid-11"), found)


def test_a_bundle_whose_label_space_nobody_knows_is_not_listed(
    catalog: Catalog, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    bundle = publish(catalog, tmp_path)
    (bundle.folder / "card.json").write_text(replace(bundle.card, label_space_file="").to_json(), encoding="utf-8")
    assert list(catalog.list()) == []
    assert "no label space is called 'blob'" in caplog.text


def test_a_card_and_its_label_space_must_agree(catalog: Catalog, tmp_path: Path):
    found = files(tmp_path, replace(BLOB, name="blobs"))
    with pytest.raises(InvalidLabelSpace, match="the card says blob, its label space is called blobs"):
        catalog.publish(card("mine", found), found)


def test_a_label_space_that_was_changed_is_found_out(catalog: Catalog, tmp_path: Path):
    bundle = publish(catalog, tmp_path)
    (bundle.folder / FILE).write_text(json.dumps(OTHER_BLOB.to_dict()), encoding="utf-8")
    with pytest.raises(ModelFailed, match=FILE):
        bundle.verify()
