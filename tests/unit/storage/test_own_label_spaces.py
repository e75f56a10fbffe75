"""Label spaces that whoever runs the service puts into a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from segmentation.label_space import LabelSpace
from segmentation.label_spaces import LABEL_SPACES
from storage.catalog import Catalog, open_catalog
from storage.settings import StorageSettings
from tests.unit.storage.test_bundled_spaces import BLOB, OTHER_BLOB, publish


def write(folder: Path, name: str, space: LabelSpace) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(space.to_dict()), encoding="utf-8")
    return path


def names(catalog: Catalog) -> list[str]:
    """Without the published ones."""
    return [each for each in catalog.label_spaces().names() if each not in LABEL_SPACES]


def test_files_of_the_folder_are_label_spaces_as_long_as_they_lie_there(tmp_path: Path):
    catalog = open_catalog(StorageSettings(home=tmp_path))
    assert names(catalog) == []
    path = write(tmp_path / "label-spaces", "mine.json", BLOB)
    (tmp_path / "label-spaces" / "notes.txt").write_text("no label space")
    assert catalog.label_spaces().get("blob") == BLOB
    path.write_text(json.dumps(OTHER_BLOB.to_dict()), encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert catalog.label_spaces().get("blob") == OTHER_BLOB
    path.unlink()
    assert names(catalog) == []


def test_the_folder_may_be_another(tmp_path: Path):
    write(tmp_path / "spaces", "mine.json", BLOB)
    assert names(open_catalog(StorageSettings(home=tmp_path, label_space_folder=tmp_path / "spaces"))) == ["blob"]


def test_what_cannot_be_read_hides_no_other_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    write(tmp_path, "b.json", BLOB)
    (tmp_path / "a.json").write_text("{")
    assert names(Catalog([], spaces=tmp_path)) == ["blob"]
    assert "a.json cannot be read" in caplog.text


def test_a_file_that_goes_while_the_folder_is_read_takes_no_other_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write(tmp_path, "b.json", BLOB)
    going, scan = write(tmp_path, "a.json", LabelSpace("other", OTHER_BLOB.classes)), os.scandir

    @contextmanager
    def listed(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scan(folder) as entries:
            found = list(entries)
        going.unlink(missing_ok=True)
        yield iter(found)

    monkeypatch.setattr("storage.catalog.os.scandir", listed)
    assert names(Catalog([], spaces=tmp_path)) == ["blob"]


def test_a_name_that_is_taken_stays_whose_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    catalog = Catalog([tmp_path / "models"], spaces=tmp_path / "spaces")
    publish(catalog, tmp_path)
    write(tmp_path / "spaces", "1.json", OTHER_BLOB)
    published = next(iter(LABEL_SPACES.values()))
    write(tmp_path / "spaces", "2.json", LabelSpace(published.name, OTHER_BLOB.classes))
    assert [each.name for each in catalog.list()] == ["mine"]
    assert catalog.label_spaces().get("blob") == BLOB
    assert catalog.label_spaces().get(published.name) == published
    assert caplog.text.count("label space ignored") == 2
