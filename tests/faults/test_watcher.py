"""What is seen of the database while a job is worked."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from storage.settings import StorageSettings
from tests.faults.watcher import STATES, RowsWatch, rows_of


def watch(tmp_path: Path) -> RowsWatch:
    return RowsWatch(StorageSettings(home=tmp_path))


def rows(counts: tuple[int, ...], *images: tuple[str, int]) -> list[tuple[object, ...]]:
    return [("job_1", *counts, index, status, attempt) for index, (status, attempt) in enumerate(images)]


def test_work_that_goes_on_is_nothing_to_tell(tmp_path: Path) -> None:
    looked = watch(tmp_path)
    looked.look(rows((2, 0, 0, 0, 0), ("queued", 0), ("queued", 0)))
    looked.look(rows((1, 1, 0, 0, 0), ("running", 1), ("queued", 0)))
    looked.look(rows((1, 0, 1, 0, 0), ("succeeded", 1), ("queued", 1)))
    assert looked.violations == []


def test_counters_that_are_not_those_of_the_rows_are_told(tmp_path: Path) -> None:
    looked = watch(tmp_path)
    looked.look(rows((0, 2, 0, 0, 0), ("running", 1), ("succeeded", 1)))
    assert looked.violations == [
        f"while it is worked, job_1 counts [0, 2, 0, 0, 0] of {STATES}, the rows are [0, 1, 1, 0, 0]"
    ]


def test_what_has_ended_does_not_run_again(tmp_path: Path) -> None:
    looked = watch(tmp_path)
    looked.look(rows((0, 0, 1, 0, 0), ("succeeded", 1)))
    looked.look(rows((0, 1, 0, 0, 0), ("running", 2)))
    assert looked.violations == ["image 0 of job_1 had succeeded in try 1 and is running in 2"]


def test_tries_only_grow(tmp_path: Path) -> None:
    looked = watch(tmp_path)
    looked.look(rows((0, 1, 0, 0, 0), ("running", 2)))
    looked.look(rows((0, 1, 0, 0, 0), ("running", 1)))
    assert looked.violations == ["image 0 of job_1 is in try 1 after 2"]


def test_a_file_is_read_without_being_changed(tmp_path: Path) -> None:
    path = tmp_path / "a b.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (a)")
        database.execute("INSERT INTO t VALUES (7)")
    database.close()
    url = StorageSettings(home=tmp_path, database_url=f"sqlite:///{tmp_path}/a%20b.db").resolved_database_url
    assert rows_of(url, "SELECT a FROM t") == [(7,)]
