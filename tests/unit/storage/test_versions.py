"""Versions side by side: whole or not there, named by number or alias, and shared by several processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.errors import ModelFailed, ModelNotFound
from storage.catalog import Catalog, NameTaken
from storage.model_reference import InvalidReference, ModelReference, canonical
from storage.registry.versions import Versions
from tests.factories import make_card

CHAMPION = ModelReference.parse("models:/street@champion")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def versions(folder: Path) -> Versions:
    return Versions(folder)


@pytest.fixture
def catalog(tmp_path: Path, folder: Path) -> Catalog:
    return Catalog([tmp_path / "bundled", folder])


def bundle(data: bytes, *, name: str = "unet", promised: bytes | None = None) -> Callable[[Path], None]:
    """Writes a bundle, whose card may promise other weights than there are."""
    digest = hashlib.sha256(data if promised is None else promised).hexdigest()

    def fetch(folder: Path) -> None:
        (folder / "model.onnx").write_bytes(data)
        (folder / "card.json").write_text(make_card(name, sha256={"model.onnx": digest}).to_json())

    return fetch


def must_not_fetch(_: Path) -> None:
    raise AssertionError("it is there already")


def test_a_version_takes_the_name_and_number_of_the_registry(versions: Versions, catalog: Catalog):
    added = versions.add("street", "3", bundle(b"three"))
    assert (added.card.name, added.card.version) == ("street", "3")
    assert catalog.get("street/3") == catalog.get("models:/street/3") == added
    assert catalog.find("street") is None


def test_versions_are_served_side_by_side_and_an_alias_moves_between_them(versions: Versions, catalog: Catalog):
    for number in ("3", "4"):
        versions.add("street", number, bundle(number.encode()))
    for number in ("3", "4", "3"):
        versions.point(CHAMPION, number)
        assert catalog.card("street@champion").version == number
        assert catalog.card("street").version == number
        assert catalog.get("models:/street@champion").file("onnx").read_bytes() == number.encode()
    assert catalog.card("street/4").version == "4"
    assert [(card.name, card.version) for card in catalog.list()] == [("street", "3")]


def test_only_the_champion_may_be_named_without_its_alias(versions: Versions, catalog: Catalog):
    versions.add("street", "5", bundle(b"five"))
    versions.point(ModelReference("street", alias="staging"), "5")
    assert catalog.card("street@staging").version == "5"
    with pytest.raises(ModelNotFound, match="street/5, street@staging"):
        catalog.card("street")


def test_a_champion_counts_more_than_a_bundle_of_its_name(versions: Versions, catalog: Catalog, folder: Path):
    (folder / "street").mkdir(parents=True)
    bundle(b"plain", name="street")(folder / "street")
    assert catalog.get("street").file("onnx").read_bytes() == b"plain"
    versions.add("street", "1", bundle(b"one"))
    versions.point(CHAMPION, "1")
    assert catalog.get("street").file("onnx").read_bytes() == b"one"


def test_weights_that_are_not_those_of_the_card_are_not_added(versions: Versions, catalog: Catalog, folder: Path):
    with pytest.raises(ModelFailed, match="not the one its card describes"):
        versions.add("street", "3", bundle(b"cut o", promised=b"cut off"))
    assert catalog.find("street/3") is None
    assert [path.name for path in folder.rglob("*")] == ["street"]


def test_what_has_no_card_is_not_added(versions: Versions):
    with pytest.raises(ModelFailed, match=r"has no card\.json"):
        versions.add("street", "3", lambda folder: None)


def test_a_version_that_is_there_is_not_fetched_again_unless_it_is_damaged(versions: Versions):
    first = versions.add("street", "3", bundle(b"three"))
    assert versions.add("street", "3", must_not_fetch) == first
    first.file("onnx").write_bytes(b"thre")
    assert versions.add("street", "3", bundle(b"three")).file("onnx").read_bytes() == b"three"


def test_a_version_whose_registered_card_is_another_is_fetched_again(versions: Versions):
    """Two registries count their versions alike, and so does one that was emptied."""

    def card_of(name: str) -> str:
        drawn = versions.folder.parent / name
        drawn.mkdir()
        bundle(name.encode())(drawn)
        return hashlib.sha256((drawn / "card.json").read_bytes()).hexdigest()

    for name in ("one", "other"):
        digest = card_of(name)
        added = versions.add("street", "3", bundle(name.encode()), digest=digest)
        assert added.file("onnx").read_bytes() == name.encode()
        assert versions.add("street", "3", must_not_fetch, digest=digest) == added


def test_a_version_that_was_fetched_before_digests_were_noted_stays(versions: Versions):
    kept = versions.add("street", "3", bundle(b"three"))
    (kept.folder / ".registered").unlink()
    assert versions.add("street", "3", must_not_fetch, digest="0" * 64) == kept


def test_several_processes_may_add_the_same_version_at_once(versions: Versions, catalog: Catalog):
    with ThreadPoolExecutor(4) as threads:
        added = list(threads.map(lambda _: versions.add("street", "3", bundle(b"three")), range(8)))
    assert {each.folder for each in added} == {versions.folder / "street" / "3"}
    catalog.get("street/3").verify()


def test_a_whole_version_is_never_moved(versions: Versions):
    """Who has it open, or looks at that moment, finds it."""
    inodes = []

    def overtaken(draft: Path) -> None:
        first = versions.add("street", "3", bundle(b"three"))
        inodes.append(first.folder.stat().st_ino)
        bundle(b"three")(draft)

    second = versions.add("street", "3", overtaken)
    assert [second.folder.stat().st_ino] == inodes


def test_a_bundle_is_not_published_over_versions(versions: Versions, catalog: Catalog, folder: Path, tmp_path: Path):
    kept = versions.add("street", "3", bundle(b"three"))
    with pytest.raises(NameTaken, match="promote"):
        catalog.publish(replace(kept.card, version="9"), {"model.onnx": kept.file("onnx")}, replace=True)
    assert catalog.card("street/3") == kept.card


def test_a_version_in_a_folder_of_another_name_is_ignored(versions: Versions, catalog: Catalog, folder: Path, caplog):
    kept = versions.add("street", "3", bundle(b"three"))
    kept.folder.rename(folder / "street" / "4")
    assert catalog.find("street/3") is None
    assert "bundle ignored" in caplog.text


@pytest.mark.parametrize("text", ["street", "street@champion", "street/3", "a.b-c_d@Next-1"])
def test_a_reference_is_written_with_or_without_the_prefix(text: str):
    assert canonical(f"models:/{text}") == str(ModelReference.parse(text)) == text


@pytest.mark.parametrize("text", ["", "models:/", "Street", "street@", "street/latest", "a/../b", "street@x/3", "s@1"])
def test_what_names_no_model_is_refused_with_the_forms_there_are(text: str):
    with pytest.raises(InvalidReference, match="NAME@ALIAS or NAME/VERSION"):
        ModelReference.parse(text)
    assert canonical(text) == text


def test_what_killed_processes_left_goes_when_the_version_is_looked_for_again(
    versions: Versions, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    versions.add("street", "3", bundle(b"three"))
    left = {f"street/{each}" for each in (".aside-3", ".aside-4", ".0123456789abcdef")} | {".fedcba9876543210"}
    for each in left:
        (folder / each).mkdir()

    def there() -> set[str]:
        versions.add("street", "3", must_not_fetch)
        return {each.relative_to(folder).as_posix() for each in folder.rglob(".*") if each.is_dir()}

    assert there() == left  # somebody may be at work
    monkeypatch.setattr("storage.catalog.AT_WORK_S", -1.0)
    assert there() == left - {"street/.aside-3"}
    monkeypatch.setattr("storage.catalog.FETCHING_S", -1.0)
    assert there() == {"street/.aside-4"}  # nothing is in its place: it may be served
