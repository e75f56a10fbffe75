"""Many workers at one job: every image is finished once, and the counters stay exact."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from functools import partial, reduce
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import text

from jobs.errors import DatabaseUnavailable, NotAllowed
from jobs.job import Failure, ImageMetrics, ImageStatus, JobStatus, JobTotals, Priority, Slice
from jobs.listing.filters import JobFilter
from jobs.ports import Outcome
from jobs.processing.retry import RetryPolicy
from jobs.submitting.submit import SubmitRules, Submitting
from jobs.tenants.turns import Turns
from storage.scope import Prepared
from storage.settings import StorageSettings
from storage.transaction import Answer, Transaction
from storage.unit_of_work import Database, make_engine
from tests.databases import opened
from tests.factories import make_card, make_images, make_job, make_result, picture
from tests.fakes import FakeCatalog, FakeDispatcher, MemoryObjects
from tests.job_steps import every_image

IMAGES = 60
WORKERS = 8
HELD_S = 3600.0
LOST_S = -1.0
BULK = Priority.BULK
FAILURE = Failure("model_failed", "the image could not be processed")


@pytest.fixture
def database(settings: StorageSettings) -> Iterator[Database]:
    with opened(settings) as database:
        yield database


@dataclass
class Workers:
    """Threads that claim overlapping slices and end what they got, well or badly, or vanish with it."""

    database: Database
    job_ids: tuple[str, ...] = ("job_1",)
    vanish: float = 0.1
    fail: float = 0.15
    stopped: threading.Event = field(default_factory=threading.Event)
    successes: Counter[tuple[str, int]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self.stopped.is_set():
            self.work_once(chance)

    def work_once(self, chance: random.Random) -> None:
        job_id, first = chance.choice(self.job_ids), chance.randrange(IMAGES)
        piece = Slice(job_id=job_id, first=first, last=first + chance.randrange(1, 16), priority=Priority.BULK)
        vanishes = chance.random() < self.vanish
        attempts = self._claim(piece, LOST_S if vanishes else HELD_S)
        if not attempts:
            time.sleep(0.001)
            return
        with self.database.unit() as unit:
            if not vanishes:
                unit.images.renew(job_id, attempts, lease_s=HELD_S)
            unit.commit()
        outcomes = [self._outcome(index, attempt, chance) for index, attempt in attempts.items()]
        chance.shuffle(outcomes)
        self._finish(job_id, outcomes)
        self._finish(job_id, outcomes)  # a message that was delivered twice

    def _claim(self, piece: Slice, lease_s: float) -> dict[int, int]:
        with self.database.unit() as unit:
            claim = unit.images.claim(piece, worker="w", lease_s=lease_s)
            unit.commit()
        return {} if claim is None else {image.index: image.attempt for image in claim.images}

    def _outcome(self, index: int, attempt: int, chance: random.Random) -> Outcome:
        draw = chance.random()
        if draw < self.fail:
            return Outcome(index=index, attempt=attempt, failure=FAILURE)
        if draw < 1.5 * self.fail:
            return Outcome(index=index, attempt=attempt, failure=FAILURE, retry_in_s=0)
        metrics = ImageMetrics(class_fractions={"sky": 0.5}, mean_confidence=0.5, confusion=((index, 1), (0, 1)))
        return Outcome(index=index, attempt=attempt, results=(make_result(metrics=metrics),))

    def _finish(self, job_id: str, outcomes: list[Outcome]) -> None:
        with self.database.unit() as unit:
            ended = set(unit.images.finish(job_id, outcomes).ended)
            unit.commit()
        with self.lock:
            done = (each.index for each in outcomes if each.results and each.index in ended)
            self.successes.update((job_id, index) for index in done)

    def run_until(self, *statuses: JobStatus, limit_s: float = 60) -> None:
        """With upkeep beside them, and a client who has failed images tried again."""
        deadline = time.monotonic() + limit_s
        with ThreadPoolExecutor(WORKERS) as threads:
            running = [threads.submit(self.work, seed) for seed in range(WORKERS)]
            try:
                while not all(self._look_after(job_id) in statuses for job_id in self.job_ids):
                    assert time.monotonic() < deadline, "the workers do not come to an end"
                    assert not any(each.done() for each in running), "a worker died"
                    time.sleep(0.01)
            finally:
                self.stopped.set()
            for each in running:
                each.result()

    def _look_after(self, job_id: str) -> JobStatus:
        with self.database.unit() as unit:
            unit.images.free_expired(losses=1000, limit=50)
            unit.commit()
        with self.database.unit() as unit:
            unit.images.resend_due(silent_s=0, priorities=list(Priority), limit=20)
            unit.commit()
        try:
            with self.database.unit() as unit:
                unit.jobs.requeue_failed(job_id)
                unit.commit()
        except NotAllowed:
            pass
        with self.database.unit() as unit:
            return unit.jobs.get(job_id).status


def add(database: Database, *job_ids: str) -> None:
    with database.unit() as unit:
        for job_id in job_ids:
            unit.jobs.add(make_job(IMAGES, job_id=job_id, slice_size=8), make_images(IMAGES, job_id=job_id))
        unit.commit()


def check_books(database: Database, settings: StorageSettings, job_id: str) -> None:
    """Counters and totals of the job against what the images say."""
    engine = make_engine(settings)
    with engine.connect() as connection:
        query = text("SELECT status, count(*) FROM job_images WHERE job_id = :job GROUP BY status")
        counted = {status: images for status, images in connection.execute(query, {"job": job_id})}  # noqa: C416
    engine.dispose()
    with database.unit() as unit:
        job, images = unit.jobs.get(job_id), every_image(unit, job_id)
    assert asdict(job.counts) == {each.value: counted.get(each.value, 0) for each in ImageStatus}
    results = [image.result for image in images if image.result is not None]
    expected = reduce(JobTotals.plus, results, JobTotals())
    assert job.totals == (expected,)


def test_every_image_is_finished_once(database: Database, settings: StorageSettings):
    add(database, "job_1")
    workers = Workers(database)
    workers.run_until(JobStatus.SUCCEEDED)
    assert workers.successes == {("job_1", index): 1 for index in range(IMAGES)}
    check_books(database, settings, "job_1")


def test_workers_at_several_jobs_do_not_block_one_another_for_good(database: Database, settings: StorageSettings):
    add(database, "job_1", "job_2")
    workers = Workers(database, job_ids=("job_1", "job_2"), fail=0.1)
    workers.run_until(JobStatus.SUCCEEDED)
    assert set(workers.successes.values()) == {1}
    for job_id in workers.job_ids:
        check_books(database, settings, job_id)


def test_a_cancel_in_the_middle_keeps_the_books(database: Database, settings: StorageSettings):
    add(database, "job_1")
    workers = Workers(database)

    def cancel() -> None:
        while sum(workers.successes.values()) < IMAGES // 4:
            time.sleep(0.005)
        with database.unit() as unit:
            unit.jobs.request_cancel("job_1")
            unit.commit()

    canceler = threading.Thread(target=cancel)
    canceler.start()
    workers.run_until(JobStatus.CANCELED, JobStatus.SUCCEEDED)
    canceler.join()
    assert max(workers.successes.values()) == 1
    check_books(database, settings, "job_1")
    with database.unit() as unit:
        job = unit.jobs.get("job_1")
    assert job.counts.succeeded == len(workers.successes)
    assert job.counts.total == IMAGES


def test_of_many_requests_with_one_key_one_is_the_first(database: Database):
    def begin(_: int) -> bool:
        with database.unit() as unit:
            first = unit.idempotency.begin("key", holder=secrets.token_hex(16), patience_s=60) is None
            unit.commit()
        return first

    with ThreadPoolExecutor(WORKERS) as threads:
        assert sum(threads.map(begin, range(WORKERS))) == 1


def test_a_request_waits_for_the_first_with_its_key_to_decide(database: Database):
    answers: list[bool] = []

    def second() -> None:
        with database.unit() as unit:
            answers.append(unit.idempotency.begin("key", holder=secrets.token_hex(16), patience_s=60) is None)
            unit.commit()

    with database.unit() as unit:
        assert unit.idempotency.begin("key", holder=secrets.token_hex(16), patience_s=60) is None
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.2)
        assert answers == []
    waiting.join()
    assert answers == [True]  # the first one was rolled back


def test_a_draft_whose_commit_is_still_on_its_way_keeps_its_objects(database: Database):
    objects, connection, is_lost = MemoryObjects(), ExitStack(), threading.Event()
    rules = SubmitRules(default_model="tiny")
    submitting = Submitting(database.unit, objects, FakeDispatcher(), FakeCatalog([make_card("tiny")]), rules)
    commits = []

    def submit() -> None:
        with suppress(DatabaseUnavailable), submitting.open_draft() as draft:
            draft.add_file("a.png", BytesIO(picture()), media_type=None)
            unit = connection.enter_context(database.unit())
            unit.jobs.add(make_job(job_id=draft.job_id, prefix=draft.prefix, images=1), make_images(1))
            unit.drafts.close(draft.job_id)
            commits.append(unit.commit)
            is_lost.set()
            raise DatabaseUnavailable("the answer to the commit was lost")

    with ThreadPoolExecutor(1) as clients, connection:
        client = clients.submit(submit)
        assert is_lost.wait(20)
        wait([client], timeout=0.5)  # time to look at what is not there yet
        commits[0]()
        client.result()
    assert len(objects.contents) == 1
    with database.unit() as unit:
        assert len(unit.jobs.page(JobFilter(), limit=2, before=None)) == 1
        assert not unit.drafts.stale(older_than_s=-60, limit=2)


@pytest.fixture
def on_postgres(migrated_postgres_url: str) -> Iterator[Database]:
    with opened(StorageSettings(database_url=migrated_postgres_url)) as database:
        yield database


def test_a_turn_whose_images_others_take_between_two_looks_is_for_the_next(
    on_postgres: Database, monkeypatch: pytest.MonkeyPatch
):
    """On SQLite who takes a turn keeps others out meanwhile."""
    for job_id in ("job_1", "job_2"):
        with on_postgres.unit() as unit:
            unit.jobs.add(make_job(job_id=job_id, images=2, priority=BULK), make_images(2))
            unit.commit()
    look_up = Transaction.look_up
    overtaken: list[str] = []

    def overtaking(transaction: Transaction, statement: Prepared, **values: Any) -> Answer:
        if "most" in values and not overtaken:
            overtaken.append(values["job"])
            with on_postgres.unit() as others:
                others.images.claim(Slice(job_id="job_1", first=0, last=1, priority=BULK), worker="w1", lease_s=HELD_S)
                others.commit()
        return look_up(transaction, statement, **values)

    monkeypatch.setattr(Transaction, "look_up", overtaking)
    ended = Slice(job_id="job_0", first=0, last=0, priority=BULK)
    with on_postgres.unit() as unit:
        claim = Turns(RetryPolicy()).take(unit, ended, partial(unit.images.claim, worker="w2", lease_s=HELD_S))
        unit.commit()
    assert overtaken == ["job_1"]
    assert claim is not None
    assert claim.job.id == "job_2"
