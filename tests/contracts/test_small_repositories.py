"""What the repositories for drafts, idempotency keys and workers promise, on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from jobs.errors import IdempotencyKeyLost
from jobs.job import Failure
from jobs.ports import Remains
from jobs.submitting.idempotency import IdempotencyRecord
from jobs.watching.workers import FollowedModel, WorkerBeat
from tests.factories import NOON
from tests.job_steps import Units

LATER = NOON + timedelta(seconds=10)


def test_a_draft_that_was_never_closed_goes_stale(open_unit: Units):
    with open_unit() as unit:
        for job_id in ("job_1", "job_2", "job_4"):
            unit.drafts.open(job_id, prefix=f"default/jobs/{job_id}/")
        unit.drafts.close("job_2")
        unit.commit()
    with open_unit.at(LATER) as unit:
        unit.drafts.open("job_3", prefix="x/")
        unit.commit()
    with open_unit() as unit:
        assert list(unit.drafts.stale(older_than_s=10, limit=9)) == []
        gone = [Remains(job_id, f"default/jobs/{job_id}/") for job_id in ("job_1", "job_4")]
        assert list(unit.drafts.stale(older_than_s=9, limit=9)) == gone
        assert list(unit.drafts.stale(older_than_s=9, limit=1)) == gone[:1]
        assert list(unit.drafts.stale(older_than_s=9, limit=9, after="job_1")) == gone[1:]
        unit.drafts.close("never opened")


UNFINISHED = IdempotencyRecord(fingerprint=None, job_id=None)


def begin(
    open_unit: Units, key: str = "k", *, holder: str = "first", patience_s: float = 60, now: datetime = NOON
) -> IdempotencyRecord | None:
    with open_unit.at(now) as unit:
        record = unit.idempotency.begin(key, holder=holder, patience_s=patience_s)
        unit.commit()
    return record


def complete(open_unit: Units, key: str = "k", *, holder: str = "first") -> None:
    with open_unit() as unit:
        unit.idempotency.complete(key, holder=holder, fingerprint="f", job_id="job_1")
        unit.commit()


def test_the_first_request_has_the_key_and_the_second_is_told(open_unit: Units):
    assert begin(open_unit) is None
    assert begin(open_unit, holder="second") == UNFINISHED
    assert begin(open_unit, "other") is None


def test_a_completed_key_names_its_job_however_long_ago(open_unit: Units):
    begin(open_unit)
    complete(open_unit)
    assert begin(open_unit, holder="second", now=LATER, patience_s=1) == IdempotencyRecord(
        fingerprint="f", job_id="job_1"
    )


def test_a_key_is_taken_over_when_its_request_is_silent_for_too_long(open_unit: Units):
    begin(open_unit)
    assert begin(open_unit, holder="second", patience_s=10, now=LATER) == UNFINISHED
    assert begin(open_unit, holder="second", patience_s=9, now=LATER) is None
    assert begin(open_unit, holder="third", patience_s=9, now=LATER) == UNFINISHED


def test_who_lost_a_key_can_neither_complete_nor_renew_nor_abandon_it(open_unit: Units):
    begin(open_unit)
    begin(open_unit, holder="second", patience_s=9, now=LATER)
    with pytest.raises(IdempotencyKeyLost):
        complete(open_unit, holder="first")
    with open_unit.at(LATER + timedelta(seconds=10)) as unit:
        unit.idempotency.renew("k", holder="first")
        unit.idempotency.abandon("k", holder="first")
        unit.commit()
    assert begin(open_unit, holder="third", patience_s=10, now=LATER + timedelta(seconds=10)) == UNFINISHED
    complete(open_unit, holder="second")
    with pytest.raises(IdempotencyKeyLost):
        complete(open_unit, holder="second")


def test_a_key_is_renewed_until_its_request_has_ended(open_unit: Units):
    def renew(key: str, holder: str) -> None:
        with open_unit.at(LATER) as unit:
            unit.idempotency.renew(key, holder=holder)
            unit.commit()

    begin(open_unit)
    renew("k", "first")
    renew("unknown", "first")
    assert begin(open_unit, holder="second", patience_s=5, now=LATER) == UNFINISHED
    begin(open_unit, "ended")
    complete(open_unit, "ended")
    renew("ended", "first")
    with open_unit.at(LATER) as unit:
        unit.idempotency.forget(older_than_s=5)
        unit.commit()
    assert begin(open_unit, "ended") is None  # it was not renewed


def test_an_abandoned_key_is_free_again(open_unit: Units):
    begin(open_unit)
    with open_unit() as unit:
        unit.idempotency.abandon("k", holder="first")
        unit.commit()
    assert begin(open_unit, holder="second") is None


def test_old_keys_are_forgotten(open_unit: Units):
    begin(open_unit)
    with open_unit.at(LATER) as unit:
        unit.idempotency.forget(older_than_s=10)
        unit.commit()
    assert begin(open_unit, holder="second") is not None
    with open_unit.at(LATER) as unit:
        unit.idempotency.forget(older_than_s=9)
        unit.commit()
    assert begin(open_unit, holder="second") is None


def test_a_key_may_be_any_text(open_unit: Units):
    key = "ключ \U0001f511 'quoted' " + "x" * 300
    assert begin(open_unit, key) is None
    assert begin(open_unit, key, holder="second") == UNFINISHED


def beat(name: str, models: tuple[str, ...] = ("tiny",)) -> WorkerBeat:
    return WorkerBeat(name=name, device="cpu", models=models)


def give(open_unit: Units, each: WorkerBeat, *, now: datetime = NOON) -> None:
    with open_unit.at(now) as unit:
        unit.workers.beat(each)
        unit.commit()


def test_a_beat_tells_what_is_followed_and_what_stands_in_the_way(open_unit: Units):
    well = FollowedModel(name="street@champion", version="4")
    broken = FollowedModel(name="pets@champion", version=None, problem=Failure("alias_not_found", "no such alias"))
    give(open_unit, replace(beat("w1"), followed=(well, broken)))
    with open_unit() as unit:
        assert [each.followed for each in unit.workers.alive(within_s=1)] == [(well, broken)]


def test_a_beat_tells_in_what_its_models_run(open_unit: Units):
    give(open_unit, replace(beat("w1"), variants={"tiny": "openvino int8"}))
    with open_unit() as unit:
        assert [each.variants for each in unit.workers.alive(within_s=1)] == [{"tiny": "openvino int8"}]


def test_a_workers_last_beat_counts(open_unit: Units):
    give(open_unit, beat("w1"))
    give(open_unit, beat("w2"))
    give(open_unit, beat("w1", models=("tiny", "big")), now=LATER)
    with open_unit() as unit:
        assert list(unit.workers.alive(within_s=10)) == [beat("w1", models=("tiny", "big")), beat("w2")]
        assert [each.name for each in unit.workers.alive(within_s=9)] == ["w1"]


def test_workers_that_are_gone_are_forgotten(open_unit: Units):
    give(open_unit, beat("w1"))
    give(open_unit, beat("w2"), now=LATER)
    with open_unit() as unit:
        unit.workers.forget(older_than_s=9)
        unit.commit()
    with open_unit() as unit:
        assert [each.name for each in unit.workers.alive(within_s=86400)] == ["w2"]
