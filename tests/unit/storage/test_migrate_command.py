"""`python -m storage.migrate` where the database is away."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from storage.migrate import main, newest
from tests.services.processes import free_port


def test_a_database_that_is_away_is_named_in_a_sentence_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{free_port()}/masks"
    monkeypatch.setenv("MASKMILL_STORAGE_DATABASE_URL", f"postgresql://bob:secret@{address}")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert str(ended.value).startswith(f"postgresql+psycopg://bob:***@{address}: the database does not answer (")
    assert "refused" in str(ended.value)
    assert "\n" not in str(ended.value)
    assert "secret" not in str(ended.value)


def test_a_folder_on_a_file_system_without_locks_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown(_file: object, _kind: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unknown)
    monkeypatch.setenv("MASKMILL_STORAGE_DATABASE_URL", f"sqlite:///{tmp_path}/masks.db")
    with pytest.raises(
        SystemExit, match=r"cannot be locked: choose a folder on a local disk .*Operation not supported"
    ):
        main([])


def test_tables_of_a_newer_version_are_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "masks.db")) as made:
        made.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        made.execute("INSERT INTO alembic_version VALUES ('9999')")
        made.commit()
    monkeypatch.setenv("MASKMILL_STORAGE_DATABASE_URL", f"sqlite:///{tmp_path}/masks.db")
    for action in ([], ["current"]):
        with pytest.raises(SystemExit, match=rf"revision 9999, .* up to {newest()}; .* downgrade {newest()}`"):
            main(action)


def test_a_file_that_is_no_database_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "masks.db").write_text("something else, and longer than a header of SQLite")
    monkeypatch.setenv("MASKMILL_STORAGE_DATABASE_URL", f"sqlite:///{tmp_path}/masks.db")
    with pytest.raises(SystemExit, match=r"masks\.db is damaged, or no database"):
        main([])


@pytest.mark.parametrize("revision", ["9999", "x"])
def test_a_revision_that_nobody_knows_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, revision: str
) -> None:
    monkeypatch.setenv("MASKMILL_STORAGE_DATABASE_URL", f"sqlite:///{tmp_path}/masks.db")
    with pytest.raises(SystemExit, match=rf"'{revision}'; this version of Maskmill knows revisions up to {newest()}"):
        main(["downgrade", revision])
