"""A file of MLflow is there whole or not at all: a worker that follows a model opens what it finds."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import make_url

from storage.registry.mlflow_registry import local_tracking, sqlite_file
from training.tracking import mlflow_client


def test_a_new_file_gets_its_place_when_its_tables_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a home" / "mlflow.db"
    made: list[tuple[str, bool]] = []

    def client(*, tracking_uri: str, registry_uri: str) -> None:
        opened = sqlite_file(tracking_uri)
        made.append((opened.name, path.exists()))
        opened.write_text("tables")

    monkeypatch.setattr(mlflow_client, "MlflowClient", client)
    for _ in range(2):
        mlflow_client.connect(f"sqlite:///{path}")
    assert made == [("mlflow.db", False), ("mlflow.db", True), ("mlflow.db", True)]
    assert {each.name for each in path.parent.iterdir()} == {"mlflow.db", ".mlflow.db.lock"}


def test_whoever_comes_second_takes_what_the_first_one_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mlflow.db"
    opened: list[str] = []
    monkeypatch.setattr(
        mlflow_client, "MlflowClient", lambda *, tracking_uri, registry_uri: opened.append(tracking_uri)
    )
    waited = SimpleNamespace(LOCK_EX=2, flock=lambda *_: path.write_text("tables"))  # for the first one
    monkeypatch.setattr(mlflow_client, "fcntl", waited)
    mlflow_client.connect(f"sqlite:///{path}")
    assert opened == [f"sqlite:///{path}"]


def test_a_folder_on_a_file_system_without_locks_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_file: object, _kind: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unknown)
    with pytest.raises(OSError, match=r"Operation not supported: it cannot be locked; choose a folder on a local disk"):
        mlflow_client.connect(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.mark.parametrize("name", ["Jörg Müller", "100 %41", "a?b", "a#b"])
def test_an_address_of_a_file_leads_to_it_and_to_no_other_folder(tmp_path: Path, name: str) -> None:
    """MLflow makes the folder that the address names as it is written."""
    uri = local_tracking(tmp_path / name)
    assert sqlite_file(uri) == Path(str(make_url(uri).database)) == tmp_path / name / "mlflow.db"
    assert "%" in name or "?" in name or "#" in name or uri == f"sqlite:///{tmp_path / name}/mlflow.db"
