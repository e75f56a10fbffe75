"""Bundles are found, checked, published whole, and seen without a restart."""

from __future__ import annotations

import hashlib
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.errors import ModelFailed, ModelNotFound
from jobs.ports import ModelCatalog
from segmentation.model_card import ModelCard
from storage.catalog import Catalog, NameTaken, open_catalog, swap
from storage.settings import StorageSettings
from tests.factories import make_card


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog([tmp_path / "bundled", tmp_path / "mine"])


def weights(tmp_path: Path, data: bytes = b"weights") -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    return path


def card(name: str = "tiny", data: bytes = b"weights", **changes: object) -> ModelCard:
    return make_card(name, sha256={"model.onnx": hashlib.sha256(data).hexdigest()}, **changes)


def publish(catalog: Catalog, tmp_path: Path, name: str = "tiny", data: bytes = b"weights", **changes: object) -> None:
    """In the place of whatever has that name."""
    catalog.publish(card(name, data, **changes), {"model.onnx": weights(tmp_path, data)}, replace=True)


def test_folders_that_do_not_exist_hold_no_models(catalog: Catalog):
    port: ModelCatalog = catalog
    assert list(port.list()) == []
    with pytest.raises(ModelNotFound, match="none"):
        port.card("tiny")


def test_a_published_model_is_found(catalog: Catalog, tmp_path: Path):
    bundle = catalog.publish(card(), {"model.onnx": weights(tmp_path)})
    assert catalog.get("tiny") == bundle == catalog.find("tiny")
    assert catalog.card("tiny") == card()
    assert bundle.file("onnx").read_bytes() == b"weights"
    bundle.verify()


def test_an_unknown_model_is_an_error_that_names_the_known(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path, "one")
    publish(catalog, tmp_path, "two")
    assert [each.name for each in catalog.list()] == ["one", "two"]
    assert catalog.find("three") is None
    with pytest.raises(ModelNotFound, match=r"'three'.*one, two"):
        catalog.get("three")


@pytest.mark.parametrize("name", ["", ".", "..", "../bundled/tiny", "/etc", "tiny/", "tiny\0", "TINY"])
def test_a_name_is_never_a_path(catalog: Catalog, tmp_path: Path, name: str):
    publish(catalog, tmp_path)
    with pytest.raises(ModelNotFound):
        catalog.get(name)


def test_a_runtime_without_weights_is_an_error_that_names_the_others(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path)
    with pytest.raises(ModelNotFound, match="torchscript; it has onnx"):
        catalog.get("tiny").file("torchscript")


def test_a_model_of_the_user_wins_over_a_bundled_one(catalog: Catalog, tmp_path: Path):
    publish(Catalog([tmp_path / "bundled"]), tmp_path, version="1")
    assert catalog.card("tiny").version == "1"
    publish(catalog, tmp_path, version="2")
    assert catalog.card("tiny").version == "2"
    assert [each.version for each in catalog.list()] == ["2"]


def test_another_process_sees_a_model_that_is_published_replaced_or_gone(catalog: Catalog, tmp_path: Path):
    other = Catalog([tmp_path / "bundled", tmp_path / "mine"])
    assert list(other.list()) == []
    publish(catalog, tmp_path, version="1")
    assert other.card("tiny").version == "1"
    publish(catalog, tmp_path, data=b"better", version="2")
    assert other.card("tiny").version == "2"
    other.get("tiny").verify()
    (tmp_path / "mine/tiny/card.json").unlink()
    assert list(other.list()) == []


@pytest.mark.parametrize("version", ["1", "2"])
def test_another_model_is_replaced_only_where_that_is_wanted(catalog: Catalog, tmp_path: Path, version: str):
    publish(catalog, tmp_path, version="1")
    better = card(data=b"better", version=version)
    with pytest.raises(NameTaken, match=r"holds version 1 of tiny, another model or one with more files.*: --replace"):
        catalog.publish(better, {"model.onnx": weights(tmp_path, b"better")})
    assert catalog.get("tiny").file("onnx").read_bytes() == b"weights"
    catalog.publish(better, {"model.onnx": weights(tmp_path, b"better")}, replace=True)
    assert catalog.get("tiny").file("onnx").read_bytes() == b"better"


def test_the_same_model_again_takes_its_own_place(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path)
    again = card(scores={"miou": 0.5}, version="2")
    catalog.publish(again, {"model.onnx": weights(tmp_path)})
    assert catalog.card("tiny") == again


def test_the_same_weights_for_other_pictures_are_another_model(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path)
    other = card(preprocessing=replace(card().preprocessing, mean=(0.1, 0.2, 0.3)))
    with pytest.raises(NameTaken):
        catalog.publish(other, {"model.onnx": weights(tmp_path)})
    assert catalog.card("tiny") == card()


def test_a_bundle_takes_the_place_of_one_with_fewer_files_alone(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path)
    files = {"model.onnx": weights(tmp_path), "more.onnx": tmp_path / "more.onnx"}
    files["more.onnx"].write_bytes(b"more")
    sha256 = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    catalog.publish(make_card("tiny", sha256=sha256), files)
    with pytest.raises(NameTaken):
        catalog.publish(card(), {"model.onnx": weights(tmp_path)})
    catalog.check_name(card(), whole=False)
    assert catalog.card("tiny").sha256 == sha256


def test_a_bundled_model_is_hidden_only_where_that_is_wanted_and_never_lost(catalog: Catalog, tmp_path: Path):
    publish(Catalog([tmp_path / "bundled"]), tmp_path)
    mine = card(data=b"mine")
    with pytest.raises(NameTaken, match=r"bundled/tiny holds .*whoever asks for tiny would get no longer: --replace"):
        catalog.publish(mine, {"model.onnx": weights(tmp_path, b"mine")})
    assert not (tmp_path / "mine").exists()
    catalog.publish(mine, {"model.onnx": weights(tmp_path, b"mine")}, replace=True)
    assert catalog.card("tiny") == mine
    assert (tmp_path / "bundled/tiny/model.onnx").read_bytes() == b"weights"


def test_publishing_leaves_nothing_but_the_bundle(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path, version="1")
    publish(catalog, tmp_path, version="2")
    assert sorted(path.name for path in (tmp_path / "mine").rglob("*")) == ["card.json", "model.onnx", "tiny"]


def test_weights_that_do_not_fit_their_card_are_not_published(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path)
    with pytest.raises(ModelFailed, match=r"model\.onnx"):
        catalog.publish(card(version="2"), {"model.onnx": weights(tmp_path, b"other")})
    with pytest.raises(ValueError, match=r"model\.onnx"):
        catalog.publish(card(version="2"), {})
    assert catalog.card("tiny").version == "1"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["tiny"]


def test_files_outside_the_bundle_are_not_published(catalog: Catalog, tmp_path: Path):
    digest = hashlib.sha256(b"weights").hexdigest()
    bad = make_card(sha256={"model.onnx": digest, "../escaped": digest})
    with pytest.raises(ValueError, match="escaped"):
        catalog.publish(bad, dict.fromkeys(bad.sha256, weights(tmp_path)))
    assert not (tmp_path / "mine/escaped").exists()


def test_changed_or_missing_weights_are_noticed(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path)
    bundle = catalog.get("tiny")
    bundle.file("onnx").write_bytes(b"Weights")
    with pytest.raises(ModelFailed, match="not the one"):
        bundle.verify()
    bundle.file("onnx").unlink()
    with pytest.raises(ModelFailed, match="lacks"):
        bundle.verify()


def test_a_bundle_that_cannot_be_read_hides_no_other(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path)
    for name, text in {
        "broken": "{",
        "misnamed": card("else").to_json(),
        ".hidden": card(".hidden"[1:]).to_json(),
    }.items():
        (tmp_path / "mine" / name).mkdir()
        (tmp_path / "mine" / name / "card.json").write_text(text)
    (tmp_path / "mine/no-card").mkdir()
    (tmp_path / "mine/README").write_text("a file")
    assert [each.name for each in catalog.list()] == ["tiny"]


def test_a_model_whose_replacement_was_cut_off_is_still_there(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path, version="1")
    with pytest.raises(FileNotFoundError):
        swap(tmp_path / "never written", tmp_path / "mine" / "tiny")
    reader = Catalog([tmp_path / "mine"])
    reader.get("tiny").verify()
    with pytest.raises(NameTaken, match="would be lost"):
        catalog.check_name(card(data=b"other"))
    publish(catalog, tmp_path, version="2")
    assert reader.card("tiny").version == "2"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["tiny"]
    with pytest.raises(FileNotFoundError):
        swap(tmp_path / "never written", tmp_path / "mine" / "tiny")
    catalog.remove("tiny")
    assert list((tmp_path / "mine").iterdir()) == []


def test_what_was_replaced_does_not_come_back(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    publish(catalog, tmp_path, version="1")
    with monkeypatch.context() as killed:
        killed.setattr(shutil, "rmtree", lambda *_, **__: None)
        publish(catalog, tmp_path, version="2")
    shutil.rmtree(tmp_path / "mine" / "tiny")
    assert catalog.find("tiny") is None


def test_reading_while_publishing_never_fails(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path)
    done = threading.Event()

    def publish_often() -> None:
        for version in range(30):
            publish(catalog, tmp_path, version=str(version))
        done.set()

    writer = threading.Thread(target=publish_often)
    writer.start()
    reader = Catalog([tmp_path / "mine"])
    while not done.is_set():
        reader.list()
    writer.join()
    assert reader.card("tiny").version == "29"


def test_a_model_that_can_be_fetched_is_told_how(tmp_path: Path):
    settings = StorageSettings(home=tmp_path, model_folders=[tmp_path / "models"])
    with pytest.raises(ModelNotFound, match="maskmill models pull segformer-b0-cityscapes"):
        open_catalog(settings).get("segformer-b0-cityscapes")


def test_a_registered_model_that_nobody_fetched_is_told_how(catalog: Catalog):
    """A job may name it right after it was promoted: it is no worker's yet, or nobody follows it."""
    with pytest.raises(ModelNotFound, match=r"MASKMILL_WORKER_FOLLOW='\[\"models:/street@champion\"\]'"):
        catalog.get("street@champion")
    for plain in ("street", "street/3", "a b@c"):
        with pytest.raises(ModelNotFound) as refused:
            catalog.get(plain)
        assert "FOLLOW" not in str(refused.value)


def test_a_removed_model_is_gone_for_everybody(catalog: Catalog, tmp_path: Path):
    publish(catalog, tmp_path)
    publish(catalog, tmp_path, "other")
    reader = Catalog([tmp_path / "bundled", tmp_path / "mine"])
    assert reader.find("tiny") is not None
    catalog.remove("tiny")
    assert [each.name for each in reader.list()] == ["other"]
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["other"]


def test_a_model_goes_with_all_its_versions(catalog: Catalog, tmp_path: Path):
    publish(Catalog([tmp_path / "drafts"]), tmp_path, version="3")
    (tmp_path / "mine" / "tiny").mkdir(parents=True)
    (tmp_path / "drafts" / "tiny").rename(tmp_path / "mine" / "tiny" / "3")
    (tmp_path / "mine" / "tiny" / "@champion").symlink_to("3")
    with pytest.raises(ModelNotFound, match="called tiny"):
        catalog.remove("tiny/3")
    catalog.remove("tiny")
    assert catalog.find("tiny/3") is None
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_model_that_came_with_the_package_stays(catalog: Catalog, tmp_path: Path):
    publish(Catalog([tmp_path / "bundled"]), tmp_path)
    with pytest.raises(ModelNotFound, match="stays"):
        catalog.remove("tiny")
    assert catalog.find("tiny") is not None
