"""Where state is kept, by environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from broker.settings import BrokerSettings
from storage.catalog import open_catalog
from storage.migrate import upgrade
from storage.objects import open_objects
from storage.objects.local import LocalObjects
from storage.objects.minio import MinioObjects
from storage.settings import StorageSettings
from worker.settings import WorkerSettings

S3 = "s3://masks?endpoint=http://127.0.0.1:9000&region=eu-1"


def test_with_nothing_set_everything_lies_under_the_home_folder(tmp_path: Path):
    settings = StorageSettings()
    home = tmp_path / ".maskmill"
    assert settings.home == home
    assert settings.resolved_database_url == f"sqlite:///{home}/maskmill.db"
    assert isinstance(open_objects(settings), LocalObjects)
    assert settings.model_folders[-1] == home / "models"
    assert not home.exists()


def test_a_home_folder_may_have_any_name(tmp_path: Path):
    home = tmp_path / "my 100%25 files?#+ü"
    upgrade(StorageSettings(home=home))
    assert (home / "maskmill.db").is_file()


def test_the_home_folder_has_a_short_name_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MASKMILL_HOME", str(tmp_path / "else"))
    assert StorageSettings().home == tmp_path / "else"


def test_a_home_below_the_users_own_is_the_same_for_every_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """`.env` and units of systemd know no shell that would replace the `~`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MASKMILL_HOME", "~/masks")
    for kind in (StorageSettings, WorkerSettings, BrokerSettings):
        assert kind().home == tmp_path / "masks"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_postgresql_url_gets_our_driver(monkeypatch: pytest.MonkeyPatch, scheme: str):
    monkeypatch.setenv("MASKMILL_STORAGE_DATABASE_URL", f"{scheme}://me:secret@host/db")
    assert StorageSettings().resolved_database_url == "postgresql+psycopg://me:secret@host/db"


def test_a_file_may_be_named_with_its_driver():
    """As SQLAlchemy's documentation writes it."""
    assert StorageSettings(database_url="sqlite+pysqlite:////data/m.db").resolved_database_url.endswith("/data/m.db")


def test_an_objects_url_names_bucket_endpoint_and_region():
    settings = StorageSettings(objects_url=S3)
    assert (settings.s3_bucket, settings.s3_endpoint, settings.s3_region) == ("masks", "http://127.0.0.1:9000", "eu-1")
    assert isinstance(open_objects(settings), MinioObjects)


def test_separate_fields_do_the_same_and_win():
    settings = StorageSettings(objects_url=S3, s3_bucket="other")
    assert (settings.s3_bucket, settings.s3_endpoint) == ("other", "http://127.0.0.1:9000")
    fields = StorageSettings(s3_bucket="masks", s3_endpoint="https://s3.example.com")
    assert isinstance(open_objects(fields), MinioObjects)


@pytest.mark.parametrize(
    "url", ["http://x/y", "s3://", "s3://a/b?endpoint=http://x", "s3://key:secret@bucket", "s3://b"]
)
def test_an_objects_url_that_cannot_be_meant_is_refused(url: str):
    with pytest.raises(ValidationError):
        StorageSettings(objects_url=url)


@pytest.mark.parametrize("bucket", ["mm", "a..b", "10.0.0.1", "-masks", "x" * 64, "my bucket"])
def test_a_bucket_that_no_client_asks_for_is_refused_at_once(bucket: str):
    with pytest.raises(ValidationError, match="bucket"):
        StorageSettings(s3_bucket=bucket, s3_endpoint="http://127.0.0.1:9000")


@pytest.mark.parametrize("bucket", ["masks", "my-masks.example", "x" * 63, "0ab", "My_Masks"])
def test_usual_names_of_buckets_are_taken(bucket: str):
    assert StorageSettings(s3_bucket=bucket, s3_endpoint="http://127.0.0.1:9000").s3_bucket == bucket


def test_a_store_in_a_bucket_needs_its_endpoint(tmp_path: Path):
    settings = StorageSettings(home=tmp_path)
    with pytest.raises(ValueError, match="endpoint"):
        MinioObjects(settings)


def test_secrets_are_not_shown():
    settings = StorageSettings(objects_url=S3, s3_secret_key="hush")
    assert "hush" not in repr(settings)
    with pytest.raises(ValidationError) as error:
        StorageSettings(objects_url="s3://key:hush@bucket")
    assert "hush" not in str(error.value)


def test_model_folders_can_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MASKMILL_STORAGE_MODEL_FOLDERS", f'["{tmp_path}"]')
    assert StorageSettings().model_folders == [tmp_path]
    assert list(open_catalog(StorageSettings()).list()) == []
