"""A local stack in one file, and back."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import maskmill.stack.backup
from maskmill.cli.app import app
from maskmill.cli.exits import INTERRUPTED
from storage.migrate import upgrade
from storage.objects import open_objects
from storage.settings import StorageSettings
from storage.unit_of_work import open_database
from tests.factories import make_images, make_job


@pytest.fixture
def filled(tmp_path: Path) -> StorageSettings:
    """A home with a job, its inputs and a model, and something that was never finished."""
    settings = StorageSettings(home=tmp_path / "home")
    upgrade(settings)
    database = open_database(settings)
    job = make_job()
    with database.unit() as unit:
        unit.jobs.add(job, make_images(3))
        unit.commit()
    database.close()
    open_objects(settings).put(f"{job.prefix}input/000000", b"a picture", media_type="image/jpeg")
    for name in ("models/mine/1/card.json", "objects/incoming/half"):
        (settings.home / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.home / name).write_text("{}")
    (settings.home / "models/mine/@live").symlink_to("1")
    return settings


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


def contents(settings: StorageSettings) -> tuple[list[str], list[bytes]]:
    database, store = open_database(settings), open_objects(settings)
    with database.unit() as unit:
        job = unit.jobs.get("job_1")
    database.close()
    return [job.id, job.prefix], [store.get(key) for key in store.keys("")]


def test_what_is_restored_is_what_was_there(filled: StorageSettings, tmp_path: Path) -> None:
    backup, other = tmp_path / "backup.tar", tmp_path / "other"
    filled.resolved_label_space_folder.mkdir()
    (filled.resolved_label_space_folder / "yard.json").write_text("{}")
    with closing(sqlite3.connect(filled.home / "maskmill.db")) as reader:  # in use meanwhile
        reader.execute("BEGIN").execute("SELECT * FROM jobs")
        assert run("backup", backup, "--home", filled.home)[0] == 0
    code, said = run("restore", backup, "--home", other)
    assert code == 0, said
    assert contents(StorageSettings(home=other)) == contents(filled)
    assert (other / "models/mine/@live/card.json").read_text() == "{}"
    assert (StorageSettings(home=other).resolved_label_space_folder / "yard.json").read_text() == "{}"
    assert not (other / "objects/incoming").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # newer versions want a filter to be named
def test_a_python_without_filters_restores_the_same(
    filled: StorageSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maskmill.stack.backup.SAFE", {})
    test_what_is_restored_is_what_was_there(filled, tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("has_filters", [True, False])
@pytest.mark.parametrize(
    ("name", "target"), [("../evil", ""), ("/evil", ""), ("link", "../evil"), ("a/link", "../../evil")]
)
def test_nothing_is_unpacked_beside_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_filters: bool, name: str, target: str
) -> None:
    if not has_filters or not hasattr(tarfile, "data_filter"):
        monkeypatch.setattr("maskmill.stack.backup.SAFE", {})
    backup, home = tmp_path / "backup.tar", tmp_path / "homes" / "own"
    with tarfile.open(backup, "w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = (tarfile.SYMTYPE, target) if target else (tarfile.REGTYPE, "")
        archive.addfile(member)
    code, said = run("restore", backup, "--home", home)
    assert code != 0, said
    assert [each for each in tmp_path.rglob("*evil*") if home not in each.parents] == []
    assert not Path("/evil").exists()


def test_a_backup_overwrites_nothing(filled: StorageSettings, tmp_path: Path) -> None:
    backup = tmp_path / "backup.tar"
    assert run("backup", backup, "--home", filled.home)[0] == 0
    before = backup.read_bytes()
    code, said = run("backup", backup, "--home", filled.home)
    assert code != 0
    assert "exists" in said
    assert backup.read_bytes() == before


def test_of_two_backups_into_one_file_at_once_one_is_whole_and_the_other_is_refused(
    filled: StorageSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup, second, kept = tmp_path / "backup.tar", [], maskmill.stack.backup._kept

    def meanwhile(home: Path) -> Iterator[tuple[Path, str]]:
        monkeypatch.setattr("maskmill.stack.backup._kept", kept)
        second.append(run("backup", backup, "--home", home))
        before.append(backup.read_bytes())
        yield from kept(home)

    before: list[bytes] = []
    monkeypatch.setattr("maskmill.stack.backup._kept", meanwhile)
    code, said = run("backup", backup, "--home", filled.home)
    assert second[0][0] == 0, second
    assert code != 0
    assert "exists" in said
    assert backup.read_bytes() == before[0]
    assert [each.name for each in tmp_path.iterdir() if "backup" in each.name] == ["backup.tar"]
    assert run("restore", backup, "--home", tmp_path / "other")[0] == 0


def test_a_backup_that_is_cut_makes_no_home_and_the_whole_one_does(filled: StorageSettings, tmp_path: Path) -> None:
    backup, cut, home = tmp_path / "backup.tar", tmp_path / "cut.tar", tmp_path / "other"
    run("backup", backup, "--home", filled.home)
    with tarfile.open(backup) as archive:
        last = archive.getmembers()[-2]
    cut.write_bytes(backup.read_bytes()[: last.offset_data + 1])
    code, said = run("restore", cut, "--home", home)
    assert code != 0, said
    assert not (home / "maskmill.db").exists()
    assert run("restore", backup, "--home", home)[0] == 0
    assert contents(StorageSettings(home=home)) == contents(filled)


def test_a_backup_that_is_broken_off_leaves_no_file(
    filled: StorageSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(home: Path) -> Iterator[tuple[Path, str]]:
        raise KeyboardInterrupt

    monkeypatch.setattr("maskmill.stack.backup._kept", interrupt)
    assert run("backup", tmp_path / "backup.tar", "--home", filled.home)[0] == INTERRUPTED
    assert [each.name for each in tmp_path.iterdir() if "backup" in each.name] == []


def test_jobs_that_are_deleted_meanwhile_do_not_end_a_backup(
    filled: StorageSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, walk = filled.home / "objects/files/default/jobs/job_2", os.walk
    for name in ("inputs", "mask"):
        (gone / name).mkdir(parents=True)

    def walk_late(top: Path, onerror: Any) -> Iterator[tuple[str, list[str], list[str]]]:
        for found in walk(top, onerror=onerror):
            if found[0] == str(gone):  # its folders are known by now
                shutil.rmtree(gone)
            yield found

    monkeypatch.setattr("maskmill.stack.backup.os.walk", walk_late)
    assert run("backup", tmp_path / "backup.tar", "--home", filled.home)[0] == 0
    assert run("restore", tmp_path / "backup.tar", "--home", tmp_path / "other")[0] == 0
    assert contents(StorageSettings(home=tmp_path / "other")) == contents(filled)


def test_objects_of_jobs_that_came_after_the_database_was_copied_are_not_restored(
    filled: StorageSettings, tmp_path: Path
) -> None:
    """No row names them, so nobody would ever remove them. A job that is still being sent has a row of its own."""
    store, before = open_objects(filled), contents(filled)
    database = open_database(filled)
    with database.unit("acme") as unit:
        unit.drafts.open("job_9", prefix="acme/jobs/job_9/")
        unit.commit()
    database.close()
    store.put("acme/jobs/job_9/inputs/000000", b"of a draft", media_type="image/jpeg")
    store.put("default/uploads/4/upl_8", b"late", media_type="image/jpeg")
    (key,) = (each for each in store.keys("") if "job_1/" in each)
    store.copy(key, "default/jobs/job_0/inputs/000000")  # a second name of the same file, and the first in the backup
    backup, other = tmp_path / "backup.tar", tmp_path / "other"
    assert run("backup", backup, "--home", filled.home)[0] == 0
    assert run("restore", backup, "--home", other)[0] == 0
    restored = open_objects(StorageSettings(home=other))
    assert set(restored.keys("")) == {key, "acme/jobs/job_9/inputs/000000"}
    assert [restored.get(key)] == before[1]


def test_what_cannot_be_read_is_told_and_not_left_out(
    filled: StorageSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(top: Path, onerror: Any) -> Iterator[tuple[str, list[str], list[str]]]:
        onerror(PermissionError(errno.EACCES, "Permission denied", str(top)))
        yield from ()

    monkeypatch.setattr("maskmill.stack.backup.os.walk", refuse)
    code, said = run("backup", tmp_path / "backup.tar", "--home", filled.home)
    assert code != 0
    assert "objects cannot be read: Permission denied" in " ".join(said.split())


def test_a_home_that_has_a_database_is_not_restored_into(filled: StorageSettings, tmp_path: Path) -> None:
    backup = tmp_path / "backup.tar"
    run("backup", backup, "--home", filled.home)
    code, said = run("restore", backup, "--home", filled.home)
    assert code != 0
    assert "already" in said


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_what_is_no_backup_is_said_so(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "x.tar"
    if content is None:
        tarfile.open(file, "w").close()
    else:
        file.write_bytes(content)
    code, said = run("restore", file, "--home", tmp_path / "other")
    assert code != 0
    assert "x.tar is no backup of a local stack" in " ".join(said.split())


def test_a_backup_that_is_not_there_is_told_before_anything_is_made(tmp_path: Path) -> None:
    _, said = run("restore", tmp_path / "x.tar", "--home", tmp_path / "other")
    assert "x.tar cannot be read: No such file or directory" in " ".join(said.split())
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("more", [0, 100, None])
def test_of_a_backup_that_breaks_off_nothing_is_restored(
    filled: StorageSettings, tmp_path: Path, more: int | None
) -> None:
    """more: bytes behind the last entry's beginning; None: there it is damaged."""
    backup, other = tmp_path / "backup.tar", tmp_path / "other"
    run("backup", backup, "--home", filled.home)
    with tarfile.open(backup) as archive:
        last = archive.getmembers()[-1].offset
    whole = backup.read_bytes()
    backup.write_bytes(whole[:last] + b"?" + whole[last + 1 :] if more is None else whole[: last + more])
    code, said = run("restore", backup, "--home", other)
    assert code != 0
    assert "breaks off" in " ".join(said.split())
    assert not (other / "maskmill.db").exists()


def test_a_home_without_a_database_is_nothing_to_keep(tmp_path: Path) -> None:
    code, said = run("backup", tmp_path / "x.tar", "--home", tmp_path / "none")
    assert code != 0
    assert "no database" in said


def test_a_database_elsewhere_is_kept_with_its_own_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKMILL_STORAGE_DATABASE_URL", "postgresql://u:p@127.0.0.1/x")
    code, said = run("backup", tmp_path / "x.tar", "--home", tmp_path)
    assert code != 0
    assert "MASKMILL_STORAGE_DATABASE_URL" in said
    assert "u:p" not in said


@pytest.mark.parametrize(("content", "code"), [(b"", 0), (b"longer than a header of SQLite is" * 9, 1)])
def test_a_database_that_cannot_be_read_is_not_restored(tmp_path: Path, content: bytes, code: int) -> None:
    """An empty one is that of a stack whose first start was broken off."""
    (tmp_path / "maskmill.db").write_bytes(content)
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(tmp_path / "maskmill.db", "maskmill.db")
    ended, said = run("restore", tmp_path / "x.tar", "--home", tmp_path / "other")
    assert bool(ended) == bool(code), said
    assert ("cannot be read: file is not a database" in " ".join(said.split())) == bool(code)
    assert (tmp_path / "other/maskmill.db").exists() == (not code)


def expiries(home: Path) -> dict[str, datetime | None]:
    database = open_database(StorageSettings(home=home))
    with database.unit() as unit:
        found = {each: unit.jobs.get(each).expires_at for each in ("job_1", "job_2", "job_3", "job_4")}
    database.close()
    return found


def test_jobs_that_expired_since_the_backup_are_told_and_may_be_kept(filled: StorageSettings, tmp_path: Path) -> None:
    """Else the first upkeep of the restored stack deletes them."""
    now = datetime.now(UTC)
    ended = now - timedelta(days=50)
    over, late, ahead = (now + timedelta(days=days) for days in (-40, -9, 9))
    database = open_database(filled)
    with database.unit() as unit:
        unit.jobs.add(make_job(1, job_id="job_2", expires_at=over, finished_at=ended), make_images(1, job_id="job_2"))
        unit.jobs.add(make_job(1, job_id="job_3", expires_at=ahead, finished_at=ended), make_images(1, job_id="job_3"))
        unit.jobs.add(make_job(1, job_id="job_4", expires_at=late), make_images(1, job_id="job_4"))  # in work
        unit.commit()
    database.close()
    backup, plain, kept = tmp_path / "backup.tar", tmp_path / "plain", tmp_path / "kept"
    assert run("backup", backup, "--home", filled.home)[0] == 0
    said = " ".join(run("restore", backup, "--home", plain)[1].split())
    assert f"2 of its 4 jobs expired since {over:%Y-%m-%d %H:%M} UTC: the first start deletes them" in said
    assert "--keep-days 30" in said
    assert expiries(plain) == {"job_1": None, "job_2": over, "job_3": ahead, "job_4": late}
    told = json.loads(run("restore", backup, "--home", kept, "--keep-days", 7, "--json")[1])
    assert (told["expired"]["jobs"], told["expired"]["kept_days"]) == (2, 7)
    found = expiries(kept)
    assert (found["job_1"], found["job_3"]) == (None, ahead)
    for each in (found["job_2"], found["job_4"]):
        assert each is not None
        assert timedelta(days=7) <= each - now < timedelta(days=7, minutes=5)
    assert sorted(path.name for path in kept.iterdir()) == sorted(path.name for path in plain.iterdir())
