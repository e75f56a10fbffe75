"""What the repositories for drafts, idempotency keys and workers promise, on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from jobs.job import Failure
from jobs.ports import FollowedModel, IdempotencyRecord, OpenUnit, WorkerBeat
from tests.factories import NOON

LATER = NOON + timedelta(seconds=10)


def test_a_draft_that_was_never_closed_goes_stale(open_unit: OpenUnit):
    with open_unit() as unit:
        unit.drafts.open("job_1", now=NOON)
        unit.drafts.open("job_2", now=NOON)
        unit.drafts.open("job_3", now=LATER)
        unit.drafts.close("job_2")
        unit.commit()
    with open_unit() as unit:
        assert list(unit.drafts.stale(before=NOON, limit=9)) == []
        assert list(unit.drafts.stale(before=LATER, limit=9)) == ["job_1"]
        unit.drafts.close("never opened")


def begin(open_unit: OpenUnit, key: str = "k") -> IdempotencyRecord | None:
    with open_unit() as unit:
        record = unit.idempotency.begin(key, now=NOON)
        unit.commit()
    return record


def test_the_first_request_has_the_key_and_the_second_is_told(open_unit: OpenUnit):
    assert begin(open_unit) is None
    assert begin(open_unit) == IdempotencyRecord(key="k", fingerprint=None, job_id=None, created_at=NOON)
    assert begin(open_unit, "other") is None


def test_a_completed_key_names_its_job(open_unit: OpenUnit):
    begin(open_unit)
    with open_unit() as unit:
        unit.idempotency.complete("k", fingerprint="f", job_id="job_1")
        unit.commit()
    assert begin(open_unit) == IdempotencyRecord(key="k", fingerprint="f", job_id="job_1", created_at=NOON)


def test_a_key_is_renewed_until_its_request_has_ended(open_unit: OpenUnit):
    def renew(key: str) -> None:
        with open_unit() as unit:
            unit.idempotency.renew(key, now=LATER)
            unit.commit()

    begin(open_unit)
    renew("k")
    renew("unknown")
    assert begin(open_unit) == IdempotencyRecord(key="k", fingerprint=None, job_id=None, created_at=LATER)
    begin(open_unit, "ended")
    with open_unit() as unit:
        unit.idempotency.complete("ended", fingerprint="f", job_id="job_1")
        unit.commit()
    renew("ended")
    assert begin(open_unit, "ended") == IdempotencyRecord(key="ended", fingerprint="f", job_id="job_1", created_at=NOON)


def test_an_abandoned_key_is_free_again(open_unit: OpenUnit):
    begin(open_unit)
    with open_unit() as unit:
        unit.idempotency.abandon("k")
        unit.commit()
    assert begin(open_unit) is None


def test_old_keys_are_forgotten(open_unit: OpenUnit):
    begin(open_unit)
    with open_unit() as unit:
        unit.idempotency.forget(before=NOON)
        unit.commit()
    assert begin(open_unit) is not None
    with open_unit() as unit:
        unit.idempotency.forget(before=LATER)
        unit.commit()
    assert begin(open_unit) is None


def test_a_key_may_be_any_text(open_unit: OpenUnit):
    key = "ключ \U0001f511 'quoted' " + "x" * 300
    assert begin(open_unit, key) is None
    found = begin(open_unit, key)
    assert found is not None
    assert found.key == key


def beat(name: str, seconds: int = 0, models: tuple[str, ...] = ("tiny",)) -> WorkerBeat:
    return WorkerBeat(name=name, device="cpu", models=models, beat_at=NOON + timedelta(seconds=seconds))


def test_a_beat_tells_what_is_followed_and_what_stands_in_the_way(open_unit: OpenUnit):
    well = FollowedModel(name="street@champion", version="4")
    broken = FollowedModel(name="pets@champion", version=None, problem=Failure("alias_not_found", "no such alias"))
    with open_unit() as unit:
        unit.workers.beat(replace(beat("w1"), followed=(well, broken)))
        unit.commit()
    with open_unit() as unit:
        assert [each.followed for each in unit.workers.alive(since=NOON)] == [(well, broken)]


def test_a_workers_last_beat_counts(open_unit: OpenUnit):
    for each in (beat("w1"), beat("w2"), beat("w1", 10, models=("tiny", "big"))):
        with open_unit() as unit:
            unit.workers.beat(each)
            unit.commit()
    with open_unit() as unit:
        assert list(unit.workers.alive(since=NOON)) == [beat("w1", 10, models=("tiny", "big")), beat("w2")]
        assert [each.name for each in unit.workers.alive(since=LATER)] == ["w1"]


def test_workers_that_are_gone_are_forgotten(open_unit: OpenUnit):
    with open_unit() as unit:
        unit.workers.beat(beat("w1"))
        unit.workers.beat(beat("w2", 10))
        unit.workers.forget(before=LATER)
        unit.commit()
    with open_unit() as unit:
        assert [each.name for each in unit.workers.alive(since=NOON - timedelta(days=1))] == ["w2"]
