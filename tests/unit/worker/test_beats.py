"""Signs of life."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.errors import DatabaseUnavailable
from jobs.ports import UnitOfWork
from jobs.upkeep import Contact
from jobs.watching.workers import WorkerBeat
from tests.memory_database import MemoryDatabase
from tests.services.processes import wait_for
from worker.beats import Beats

BEAT = WorkerBeat(name="w@host", device="cpu", models=("tiny",))


def test_a_beat_is_a_row_and_a_touched_file(tmp_path: Path):
    database = MemoryDatabase()
    beats = Beats(database.unit, lambda: BEAT, tmp_path / "run" / "w.alive", every_s=0.01)
    beats.start()
    wait_for(lambda: _alive(database) == [BEAT], what="a beat")
    assert (tmp_path / "run" / "w.alive").exists()
    beats.close()
    assert not (tmp_path / "run" / "w.alive").exists()


def test_beats_go_on_while_the_database_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    calls: list[int] = []

    @contextmanager
    def away(tenant: str | None = None) -> Iterator[UnitOfWork]:
        calls.append(1)
        raise DatabaseUnavailable("away")
        yield

    beats = Beats(away, lambda: BEAT, tmp_path / "w.alive", every_s=0.01)
    beats.start()
    wait_for(lambda: len(calls) > 2, what="a third beat")
    beats.close()
    assert "sign of life not written" in caplog.text


def test_beats_notice_outages_for_everybody_in_the_process(tmp_path: Path):
    database, contact, is_away = MemoryDatabase(), Contact(), [True]

    @contextmanager
    def sometimes(tenant: str | None = None) -> Iterator[UnitOfWork]:
        if is_away[0]:
            raise DatabaseUnavailable("away")
        with database.unit(tenant) as unit:
            yield unit

    beats = Beats(sometimes, lambda: BEAT, tmp_path / "w.alive", every_s=0.01, contact=contact)
    beats.start()
    wait_for(lambda: contact.lasts_s < 60, what="the outage noticed")
    is_away[0] = False
    wait_for(lambda: contact.lasts_s > 0.1, what="the contact lasting")
    beats.close()


def _alive(database: MemoryDatabase) -> list[WorkerBeat]:
    with database.unit() as unit:
        return list(unit.workers.alive(within_s=60))


def test_beats_go_on_after_an_error_that_nobody_foresaw(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    database, states = MemoryDatabase(), iter([ValueError("surprise")])

    def state() -> WorkerBeat:
        for error in states:
            raise error
        return BEAT

    beats = Beats(database.unit, state, tmp_path / "w.alive", every_s=0.01)
    beats.start()
    wait_for(lambda: _alive(database) == [BEAT], what="a beat after the error")
    beats.close()
    assert "sign of life not given" in caplog.text


def test_each_beat_tidies_up(tmp_path: Path):
    tidied: list[int] = []
    beats = Beats(MemoryDatabase().unit, lambda: BEAT, tmp_path / "w", every_s=9, tidy=lambda: tidied.append(1))
    beats.beat()
    assert tidied == [1]
