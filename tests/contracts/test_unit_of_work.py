"""What `jobs.ports.UnitOfWork` and `JobRepository` promise, on every database."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from jobs.deliveries.endpoint import STARTED, Endpoint
from jobs.errors import ImageNotFound, JobNotFound, JobRunning
from jobs.exports.choice import ExportChoice
from jobs.job import Counts, ImageStatus, JobStatus, JobTotals, NewImage, Priority, Slice, Source
from jobs.job import SourceKind as Kind
from jobs.listing.filters import JobFilter
from jobs.options import JobOptions, OverlayOptions, TileOptions
from jobs.ports import Remains
from segmentation.formats.outlines import Outlines
from tests.factories import NOON, make_image, make_images, make_job
from tests.job_steps import (
    Units,
    add,
    cancel,
    claimed,
    ended_job,
    every_image,
    failed,
    finish,
    get,
    image,
    succeeded,
)


class TestTransactions:
    def test_leaving_without_a_commit_leaves_nothing(self, open_unit: Units):
        with open_unit() as unit:
            unit.jobs.add(make_job(), make_images(3))
        with open_unit() as unit, pytest.raises(JobNotFound):
            unit.jobs.get("job_1")

    def test_an_exception_leaves_nothing(self, open_unit: Units):
        with pytest.raises(ZeroDivisionError), open_unit() as unit:
            unit.jobs.add(make_job(), make_images(3))
            raise ZeroDivisionError
        with open_unit() as unit, pytest.raises(JobNotFound):
            unit.jobs.get("job_1")

    def test_what_was_read_before_a_write_does_not_hinder_it(self, open_unit: Units):
        add(open_unit)
        with open_unit() as unit:
            assert unit.jobs.get("job_1").counts.queued == 3
            unit.jobs.request_cancel("job_1")
            assert unit.jobs.get("job_1").counts.canceled == 3
            unit.commit()
        assert get(open_unit).status is JobStatus.CANCELED


class TestJobs:
    def test_a_job_comes_back_as_it_was_added(self, open_unit: Units):
        options = JobOptions(
            model="tiny",
            models=("tiny", "other"),
            label_space="camvid-11",
            mask_label_space="cityscapes-34",
            mask_suffix="_L",
            bit_depth=12,
            min_confidence=0.5,
            every=0.25,
            reuse=False,
            artifacts=("mask", "coco"),
            polygons=Outlines(1.5, 20),
            classes=("sky", "car"),
            webhook=Endpoint(url="https://example.org/hook", events=(STARTED,)),
            output="results/maskmill/",
            export=ExportChoice(name="cvat", instances=True),
            overlay=OverlayOptions(opacity=0.25, format="png"),
            tile=TileOptions(size=512, overlap=64),
            priority="bulk",
            expires_in=3600,
            metadata={"b": [1, None, "ü"], "a": {"x": 0.1}},
        )
        usual = JobOptions()
        stored = {each.name for each in fields(usual)} - {"unknown"}  # which nobody chooses
        assert [name for name in stored if getattr(options, name) == getattr(usual, name)] == []
        job = make_job(
            priority=Priority.BULK,
            options=options,
            metadata=options.metadata,
            expires_at=NOON + timedelta(hours=1, microseconds=1),
            slice_size=2,
        )
        with open_unit() as unit:
            unit.jobs.add(job, make_images(3))
            unit.commit()
        assert get(open_unit) == job
        assert list(get(open_unit).metadata) == ["b", "a"]

    def test_images_come_back_as_they_were_added(self, open_unit: Units):
        images = [
            make_image(0, ref="my-1", mask=Source(Kind.OBJECT, "jobs/job_1/truth/000000")),
            make_image(1, name="straße ✓.jpg", source=Source(Kind.URL, "https://example.com/1.jpg")),
            make_image(2, source=Source(Kind.SAMPLE, "street-1"), mask=Source(Kind.URL, "https://example.com/1.png")),
        ]
        with open_unit() as unit:
            unit.jobs.add(make_job(3), (NewImage(each.source, each.name, each.ref, each.mask) for each in images))
            unit.commit()
        with open_unit() as unit:
            assert every_image(unit, "job_1") == images
            assert unit.images.get("job_1", 2) == images[2]

    def test_a_job_with_other_images_than_announced_is_refused(self, open_unit: Units):
        with pytest.raises((ValueError, AssertionError)), open_unit() as unit:
            unit.jobs.add(make_job(3), make_images(2))

    def test_an_unknown_job_is_not_found(self, open_unit: Units):
        piece = Slice(job_id="none", first=0, last=0, priority=Priority.BULK)
        with open_unit() as unit:
            for call in (
                lambda: unit.jobs.get("none"),
                lambda: unit.jobs.request_cancel("none"),
                lambda: unit.jobs.requeue_failed("none"),
                lambda: unit.jobs.mark_deleted("none"),
                lambda: unit.images.get("none", 0),
                lambda: unit.images.page("none", sort="index", limit=1, after=None),
            ):
                with pytest.raises(JobNotFound):
                    call()
            assert unit.images.claim(piece, worker="w1", lease_s=1) is None
            assert unit.images.renew("none", {0: 1}, lease_s=30)[0] == frozenset()
            assert unit.images.finish("none", [succeeded(0)]) == ((), frozenset({0}))
            unit.jobs.purge("none")

    def test_an_unknown_image_is_not_found(self, open_unit: Units):
        add(open_unit)
        with pytest.raises(ImageNotFound):
            image(open_unit, 3)

    def test_jobs_are_listed_newest_first_in_pages(self, open_unit: Units):
        for number in range(5):
            add(open_unit, 1, job_id=f"job_{number}")
        with open_unit() as unit:
            first = unit.jobs.page(JobFilter(), limit=2, before=None)
            second = unit.jobs.page(JobFilter(), limit=9, before=first[-1].id)
        assert [job.id for job in first] == ["job_4", "job_3"]
        assert [job.id for job in second] == ["job_2", "job_1", "job_0"]

    def test_ids_are_ordered_by_their_bytes(self, open_unit: Units):
        for job_id in ("job_a", "job_B", "job_1", "job_Z"):
            add(open_unit, 1, job_id=job_id)
        with open_unit() as unit:
            listed = [job.id for job in unit.jobs.page(JobFilter(), limit=9, before=None)]
            older = [job.id for job in unit.jobs.page(JobFilter(), limit=9, before="job_Z")]
        assert listed == ["job_a", "job_Z", "job_B", "job_1"]
        assert older == ["job_B", "job_1"]

    def test_jobs_are_listed_by_status_and_model(self, open_unit: Units):
        add(open_unit, 1, job_id="job_1", models=("big",))
        ended_job(open_unit, succeeded(0), job_id="job_2")
        ended_job(open_unit, succeeded(0), job_id="job_3", models=("big",))
        ended_job(open_unit, succeeded(0), failed(1), job_id="job_4")
        add(open_unit, 1, job_id="job_5", models=("other", "big"), totals=(JobTotals(), JobTotals()))
        add(open_unit, 1, job_id="job_6", models=("other", "bigger"), totals=(JobTotals(), JobTotals()))
        with open_unit() as unit:

            def listed(**where: Any) -> list[str]:
                return [job.id for job in unit.jobs.page(JobFilter(**where), limit=9, before=None)]

            assert listed(status="succeeded") == ["job_3", "job_2"]
            assert listed(status="partial") == ["job_4"]
            assert listed(status="queued", model="big") == ["job_5", "job_1"]
            assert listed(model="big") == ["job_5", "job_3", "job_1"]
            assert listed(model="other") == ["job_6", "job_5"]
            assert listed(status="nonsense") == []

    def test_jobs_are_listed_by_time_and_metadata(self, open_unit: Units):
        told: list[dict[str, Any]] = [
            {"run": "7", "odd": "\ud800"},
            {"run": 7},
            {"deep": {"run": "7"}},
            {"run": "70", "50%": True},
            {"run": 0.5, 'é"': None},
        ]
        for number, metadata in enumerate(told):
            made = NOON + timedelta(hours=number)
            add(open_unit, 1, job_id=f"job_{number}", metadata=metadata, created_at=made)

        def listed(limit: int = 9, **where: Any) -> list[int]:
            with open_unit() as unit:
                return [int(job.id[4:]) for job in unit.jobs.page(JobFilter(**where), limit=limit, before=None)]

        assert listed(created_after=NOON + timedelta(hours=3)) == [4, 3]
        assert listed(created_before=NOON + timedelta(hours=1)) == [0]
        assert listed(created_after=NOON, created_before=NOON + timedelta(hours=2)) == [1, 0]
        assert listed(metadata=(("run", "7"),)) == [1, 0]
        assert listed(limit=1, metadata=(("run", "7"),)) == [1]
        assert listed(limit=3, metadata=(("run", "7"),)) == [1, 0]
        assert listed(metadata=(("run", "0.50"),)) == [4]
        assert listed(metadata=(("50%", "true"), ("run", "70"))) == [3]
        assert listed(metadata=(("50%", "true"), ("run", "7"))) == []
        assert listed(metadata=(('é"', "null"),)) == [4]
        assert listed(metadata=(("run", "NaN"),)) == listed(metadata=(("run", "[" * 5000),)) == []

    def test_only_older_unfinished_jobs_of_the_same_priority_are_ahead(self, open_unit: Units):
        ended_job(open_unit, succeeded(0), job_id="job_0")
        add(open_unit, 1, job_id="job_1")
        add(open_unit, 1, job_id="job_2", priority=Priority.BULK)
        add(open_unit, 2, job_id="job_3")
        claimed(open_unit, 0, 0, job_id="job_3")
        mine = add(open_unit, 1, job_id="job_4")
        add(open_unit, 1, job_id="job_5")
        with open_unit() as unit:
            assert unit.jobs.ahead_of([mine.id]) == {"job_4": 2}
            assert unit.jobs.ahead_of(["job_0", "job_1", "job_2", "job_9"]) == {"job_1": 0, "job_2": 0}
            assert unit.jobs.ahead_of([]) == {}

    def test_what_has_not_ended_stands_and_with_a_time_what_ended_since(self, open_unit: Units):
        ended_job(open_unit, succeeded(0), job_id="job_1")
        add(open_unit, 1, job_id="job_2")
        with open_unit() as unit:
            ended = unit.jobs.get("job_1").finished_at
            assert ended is not None
            assert [each.job_id for each in unit.jobs.standing()] == ["job_2"]
            both = [(each.job_id, each.finished_at) for each in unit.jobs.standing(since=ended)]
            assert both == [("job_1", ended), ("job_2", None)]
            assert [each.job_id for each in unit.jobs.standing(since=ended + timedelta(seconds=1))] == ["job_2"]
            (mine,) = unit.jobs.standing()
            assert (mine.tenant, mine.version) == ("default", unit.jobs.get("job_2").version)

    def test_several_are_read_at_once_and_those_that_are_not_there_left_out(self, open_unit: Units):
        ended_job(open_unit, succeeded(0), job_id="job_1")
        first, second = add(open_unit, 1, job_id="job_2"), add(open_unit, 1, job_id="job_3")
        with open_unit() as unit:
            unit.jobs.mark_deleted("job_1")
            unit.commit()
        with open_unit() as unit:
            wanted = ["job_3", "job_1", "job_2", "job_9"]
            assert unit.jobs.several(wanted) == [first, second]
            assert unit.jobs.versions(wanted) == {"job_2": first.version, "job_3": second.version}
            assert unit.jobs.several([]) == []


class TestDeleting:
    def test_a_deleted_job_is_seen_by_nobody(self, open_unit: Units):
        ended_job(open_unit, succeeded(0), failed(1))
        with open_unit() as unit:
            unit.jobs.mark_deleted("job_1")
            unit.commit()
        with open_unit() as unit:
            with pytest.raises(JobNotFound):
                unit.jobs.get("job_1")
            with pytest.raises(JobNotFound):
                unit.images.get("job_1", 0)
            with pytest.raises(JobNotFound):
                unit.jobs.mark_deleted("job_1")
            assert list(unit.jobs.page(JobFilter(), limit=9, before=None)) == []
            assert list(unit.jobs.deleted(limit=9)) == [Remains("job_1", "default/jobs/job_1/")]
            assert list(unit.jobs.deleted(limit=9, after="job_1")) == []

    def test_the_idempotency_key_of_a_deleted_job_is_free_and_no_other(self, open_unit: Units):
        ended_job(open_unit, succeeded(0))
        with open_unit() as unit:
            for key, job_id in (("one", "job_1"), ("other", "job_2")):
                unit.idempotency.begin(key, holder="h", patience_s=60)
                unit.idempotency.complete(key, holder="h", fingerprint="f", job_id=job_id)
            unit.jobs.mark_deleted("job_1")
            unit.commit()
        with open_unit() as unit:
            assert unit.idempotency.begin("one", holder="i", patience_s=60) is None
            found = unit.idempotency.begin("other", holder="i", patience_s=60)
            assert found is not None
            assert found.job_id == "job_2"

    def test_a_job_at_work_cannot_be_deleted(self, open_unit: Units):
        add(open_unit)
        with pytest.raises(JobRunning), open_unit() as unit:
            unit.jobs.mark_deleted("job_1")

    def test_a_purged_job_is_gone_with_its_images_and_no_other(self, open_unit: Units):
        ended_job(open_unit, succeeded(0))
        add(open_unit, 2, job_id="job_2")
        with open_unit() as unit:
            unit.jobs.mark_deleted("job_1")
            unit.jobs.purge("job_1")
            unit.commit()
        with open_unit() as unit:
            assert list(unit.jobs.deleted(limit=9)) == []
            assert len(every_image(unit, "job_2")) == 2
        add(open_unit, 1)
        assert image(open_unit).status is ImageStatus.QUEUED

    def test_finished_jobs_expire(self, open_unit: Units):
        past, future = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)
        ended_job(open_unit, succeeded(0), job_id="job_1", expires_at=past)
        ended_job(open_unit, succeeded(0), job_id="job_2", expires_at=future)
        ended_job(open_unit, succeeded(0), job_id="job_3")
        add(open_unit, 1, job_id="job_4", expires_at=past)
        with open_unit() as unit:
            assert list(unit.jobs.expired(limit=9)) == ["job_1"]
            unit.jobs.mark_deleted("job_1")
            assert list(unit.jobs.expired(limit=9)) == []

    @pytest.mark.parametrize(
        ("lifetime", "kept"),
        [(timedelta(minutes=1), timedelta(minutes=1)), (timedelta(days=1), timedelta(hours=1))],
    )
    def test_a_job_that_waited_longer_than_it_lives_is_kept_for_a_while(
        self, open_unit: Units, lifetime: timedelta, kept: timedelta
    ):
        late = NOON + 2 * lifetime
        add(open_unit, 1, expires_at=NOON + lifetime)
        finish(open_unit, succeeded(0), now=late, by=claimed(open_unit, now=late))
        assert get(open_unit).expires_at == late + kept
        with open_unit.at(late + kept - timedelta(seconds=1)) as unit:
            assert list(unit.jobs.expired(limit=9)) == []
        with open_unit.at(late + kept) as unit:
            assert list(unit.jobs.expired(limit=9)) == ["job_1"]


@pytest.mark.slow
def test_a_large_job_is_added_from_an_iterator_and_counted_without_looking(open_unit: Units):
    with open_unit() as unit:
        unit.jobs.add(make_job(4_999), iter(make_images(4_999)))
        unit.commit()
    assert get(open_unit).counts == Counts(queued=4_999)
    assert image(open_unit, 4_998) == make_image(4_998)
    assert cancel(open_unit).counts == Counts(canceled=4_999)
