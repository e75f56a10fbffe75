"""The hub catalogue is read strictly, and the one in the repository reads."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from segmentation.label_spaces import get_label_space
from storage.hub_catalog import CATALOG, HubModelNotFound, InvalidHubCatalog, get_hub_model, load_hub_catalog

ENTRY: dict[str, Any] = {
    "name": "toy",
    "hub": "owner/toy",
    "ref": "main",
    "architecture": "segformer",
    "label_space": "cityscapes-19",
    "parameters_m": 3.8,
    "download_mb": 15,
    "long_side": 1024,
    "published_miou": 0.7,
    "published_on": "Cityscapes val",
    "published_in": "https://example.org/paper",
    "licence": "MIT",
    "licence_url": "https://example.org/licence",
    "commercial_use": True,
}


def written(tmp_path: Path, *entries: dict[str, Any], more: str = "") -> Path:
    def value(given: object) -> str:
        return str(given).lower() if isinstance(given, bool) else repr(given)

    lines = [more]
    for entry in entries:
        lines += ["[[models]]", *(f"{key} = {value(given)}" for key, given in entry.items())]
    path = tmp_path / "catalog.toml"
    path.write_text("\n".join(lines))
    return path


def test_the_catalogue_in_the_repository_reads():
    models = load_hub_catalog()
    assert {f"segformer-b{size}-cityscapes" for size in range(6)} <= set(models)
    assert {"mask2former-swin-tiny-cityscapes", "mask2former-swin-small-cityscapes"} <= set(models)
    assert len(models) == len(tomllib.loads(CATALOG.read_text())["models"])
    for model in models.values():
        assert len(get_label_space(model.label_space).class_ids) == 19
        assert not model.commercial_use
        assert "commercial" in model.licence


def test_an_entry_may_say_all_or_the_beginning_of_its_commit(tmp_path: Path):
    pinned = {**ENTRY, "name": "pinned", "revision": "a" * 40, "ref": ""}
    begun = {**ENTRY, "commit_begins": "abcdef0"}
    models = load_hub_catalog(written(tmp_path, pinned, begun))
    assert list(models) == ["pinned", "toy"]
    assert models["toy"].commit_begins == "abcdef0"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Upper"),
        ("name", "../toy"),
        ("hub", "no-owner"),
        ("hub", "a/b/c"),
        ("architecture", "unet"),
        ("label_space", "elsewhere-7"),
        ("parameters_m", 0),
        ("download_mb", 1.5),
        ("long_side", 1000),
        ("published_miou", 76.2),
        ("published_in", "a paper"),
        ("published_on", " "),
        ("licence", ""),
        ("licence_url", "ftp://example.org"),
        ("commercial_use", "no"),
        ("revision", "a8df754"),
        ("ref", "v1"),
        ("ref", "refs/pr/0"),
        ("commit_begins", "xyz"),
    ],
)
def test_a_wrong_value_names_the_entry_and_the_field(tmp_path: Path, field: str, value: object):
    entry = {**ENTRY, field: value}
    with pytest.raises(InvalidHubCatalog, match=f"{entry['name']}.*{field}"):
        load_hub_catalog(written(tmp_path, entry))


@pytest.mark.parametrize("extra", [{"ref": "main"}, {"ref": "", "commit_begins": "abcdef0"}])
def test_a_full_commit_stands_alone(tmp_path: Path, extra: dict[str, str]):
    with pytest.raises(InvalidHubCatalog, match="left out beside a revision"):
        load_hub_catalog(written(tmp_path, {**ENTRY, "revision": "a" * 40, **extra}))


@pytest.mark.parametrize("field", [name for name in ENTRY if name not in ("name", "ref")])
def test_a_missing_field_is_named(tmp_path: Path, field: str):
    with pytest.raises(InvalidHubCatalog, match=f"toy: {field}: missing"):
        load_hub_catalog(written(tmp_path, {key: value for key, value in ENTRY.items() if key != field}))


def test_what_is_no_catalogue_is_refused(tmp_path: Path):
    for text, said in (
        ("[[models]", "not TOML"),
        ("", "tables alone"),
        ("models = [1]", "entry 1"),
        ("models = 1", "tables alone"),
    ):
        path = tmp_path / "catalog.toml"
        path.write_text(text)
        with pytest.raises(InvalidHubCatalog, match=said):
            load_hub_catalog(path)
    for entries, said in (
        ([ENTRY, ENTRY], "toy: the name is there twice"),
        ([{**ENTRY, "colour": "red"}], "colour: unknown field"),
    ):
        with pytest.raises(InvalidHubCatalog, match=said):
            load_hub_catalog(written(tmp_path, *entries))
    with pytest.raises(InvalidHubCatalog, match="tables alone"):
        load_hub_catalog(written(tmp_path, ENTRY, more="version = 1"))


def test_an_unknown_name_is_told_the_known_ones():
    assert get_hub_model("segformer-b0-cityscapes").hub.startswith("nvidia/")
    with pytest.raises(HubModelNotFound, match="segformer-b5-cityscapes"):
        get_hub_model("segformer-b9")
