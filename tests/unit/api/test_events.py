"""Streams of events over real connections, cut and resumed."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from api.live import streams
from api.live.job_watch import Seen
from api.live.streams import Pages
from api.main import create_app
from api.settings import ApiSettings
from jobs.reporting import events
from jobs.reporting.events import Place, Telling
from jobs.reporting.read import progress_without_queue
from tests.factories import picture
from tests.services.processes import wait_for
from tests.unit.api.house import House
from tests.unit.api.live import SOON_S, serving


@dataclass(frozen=True)
class Event:
    kind: str
    id: str
    data: Any


def read(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield Event(fields["event"], fields["id"], json.loads(fields["data"]))
            fields = {}


@contextmanager
def listening(http: httpx.Client, path: str, after: str | None = None) -> Iterator[Iterator[Event]]:
    headers = {} if after is None else {"Last-Event-ID": after}
    with http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield read(answer.iter_lines())


def submit(http: httpx.Client, images: int) -> str:
    files = [("files", (f"{number}.jpg", picture(seed=number))) for number in range(images)]
    return str(http.post("/jobs", files=files).json()["links"]["events"])


@pytest.fixture
def house(tmp_path: Any) -> House:
    return House(tmp_path)


def test_a_stream_tells_each_image_and_ends_with_the_job(house: House) -> None:
    with serving(house) as http:
        path = submit(http, 3)
        with listening(http, path) as stream:
            first = next(stream)
            assert (first.kind, first.id, first.data["status"]) == ("job", "1", "queued")
            house.work()
            rest = list(stream)
        ended = [event for event in rest if event.kind == "image"]
        assert sorted(event.data["index"] for event in ended) == [0, 1, 2]
        assert {event.data["status"] for event in ended} == {"succeeded"}
        last = http.get(path.removesuffix("/events")).json()
        assert rest[-1].kind == "job"
        assert rest[-1].data == last


def test_an_image_is_told_before_the_job_that_counts_it(house: House) -> None:
    with serving(house) as http:
        path = submit(http, 4)
        house.work()
        with listening(http, path) as stream:
            told = list(stream)
    assert [event.kind for event in told] == ["image"] * 4 + ["job"]
    assert told[-1].data["images"]["succeeded"] == 4


def test_a_client_that_is_cut_fifty_times_sees_every_image_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PAGE", 7)
    chance, seen, last, cuts = random.Random(11), [], None, 0
    with serving(house) as http:
        path = submit(http, 120)
        working = threading.Thread(target=house.work)
        working.start()
        is_over = False
        while not is_over:
            patience = chance.randrange(1, 3) if cuts < 50 else 1000
            with listening(http, path, last) as stream:
                for event in stream:
                    last = event.id
                    if event.kind == "image":
                        seen.append(event.data["index"])
                    is_over = event.kind == "job" and event.data["finished_at"] is not None
                    patience -= 1
                    if is_over or not patience:
                        cuts += 1
                        break
        working.join()
    assert cuts >= 50
    assert sorted(seen) == list(range(120))


def test_who_knows_the_end_of_a_job_is_told_not_to_come_back(house: House) -> None:
    with serving(house) as http:
        path = submit(http, 1)
        house.work()
        with listening(http, path) as stream:
            last = list(stream)[-1].id
        assert http.get(path, headers={"Last-Event-ID": last}).status_code == 204


def test_a_reading_that_failed_is_not_what_all_later_ones_are_told(house: House) -> None:
    faults = [RuntimeError("odd")]

    @contextmanager
    def open_unit(tenant: str | None = None) -> Iterator[Any]:
        if faults:
            raise faults.pop()
        with house.database.unit(tenant) as unit:
            yield unit

    with serving(house) as http:
        job_id = submit(http, 1).split("/")[2]
    with house.database.unit() as unit:
        job = unit.jobs.get(job_id)
    pages, seen = Pages(Telling(open_unit)), Seen(job, progress_without_queue(job))

    async def twice() -> bytes:
        with pytest.raises(RuntimeError, match="odd"):
            await pages.after(Place(), seen)
        return (await pages.after(Place(), seen)).data

    assert asyncio.run(twice()).startswith(b"event: job")


@pytest.mark.parametrize("identity", ["x", "99999", "1.x", "-1"])
def test_an_id_that_this_job_never_gave_is_a_field_fault(house: House, identity: str) -> None:
    with serving(house) as http:
        answer = http.get(submit(http, 1), headers={"Last-Event-ID": identity})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Last-Event-ID")


def test_a_job_that_is_not_there_has_no_stream(house: House) -> None:
    with serving(house) as http:
        assert http.get("/jobs/job_01JD3T1M4Z8Q5R6S7T8V9WAXBY/events").status_code == 404


def test_a_quiet_stream_shows_that_it_is_alive(house: House) -> None:
    house.settings = ApiSettings(heartbeat_s=0.05)
    with serving(house) as http, http.stream("GET", submit(http, 1)) as answer:
        lines = answer.iter_lines()
        assert any(line.startswith(":") for line in lines)


def test_a_stream_ends_when_its_job_is_deleted(house: House) -> None:
    house.settings = ApiSettings(poll_s=0.1)
    with serving(house) as http:
        path = submit(http, 1)
        with listening(http, path) as stream:
            next(stream)
            with house.database.unit() as unit:
                unit.jobs.purge(path.split("/")[2])
                unit.commit()
            assert list(stream) == []


def test_listeners_of_one_job_share_what_is_read(house: House) -> None:
    count, app = 30, create_app(lambda: nullcontext(house.services()))
    with serving(house, app) as http:
        path = submit(http, 5)
        told: list[list[Event]] = [[] for _ in range(count)]

        def listen(number: int) -> None:
            with listening(http, path) as stream:
                told[number] = list(stream)

        threads = [threading.Thread(target=listen, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        wait_for(lambda: app.state.services.watch.waiting == count, what="all listening")
        before = house.units
        house.work()
        for thread in threads:
            thread.join(SOON_S)
        assert house.units - before < count
    for each in told:
        assert sorted(event.data["index"] for event in each if event.kind == "image") == list(range(5))


def test_who_waits_for_the_job_alone_is_told_of_no_image(house: House) -> None:
    with serving(house) as http:
        path = submit(http, 3)
        with listening(http, f"{path}?only=job") as stream:
            first = next(stream)
            house.work()
            told = [first, *stream]
    assert {event.kind for event in told} == {"job"}
    assert (told[0].data["status"], told[-1].data["status"]) == ("queued", "succeeded")


def test_a_process_that_is_asked_to_stop_ends_its_streams(house: House) -> None:
    house.settings = ApiSettings(poll_s=0.1)
    app = create_app(lambda: nullcontext(house.services()))
    with serving(house, app) as http, listening(http, submit(http, 1)) as stream:
        next(stream)
        app.state.stopping.set()
        assert list(stream) == []


def test_all_jobs_are_told_as_they_come_change_and_end(house: House) -> None:
    with serving(house) as http:
        first = submit(http, 1).split("/")[2]
        with listening(http, "/events") as stream:
            told = next(stream)
            assert (told.data["id"], told.data["status"]) == (first, "queued")
            second = submit(http, 1).split("/")[2]
            assert next(stream).data["id"] == second
            house.work()
            seen = {first: "queued", second: "queued"}
            while set(seen.values()) != {"succeeded"}:
                event = next(stream)
                seen[event.data["id"]] = event.data["status"]


@pytest.mark.parametrize("set_back_s", [0, 3600], ids=["", "the clock was set back"])
def test_what_ended_while_nobody_listened_is_told_to_who_comes_back(house: House, set_back_s: int) -> None:
    house.clock.now = datetime.now(UTC)
    with serving(house) as http:
        job = submit(http, 1).split("/")[2]
        with listening(http, "/events") as stream:
            last = str(int(next(stream).id) + set_back_s * 1000)
        house.work()
        with listening(http, "/events", last) as stream:
            told = next(stream)
    assert (told.data["id"], told.data["status"]) == (job, "succeeded")
    assert int(told.id) <= time.time_ns() // 1_000_000


def test_what_was_missed_is_looked_up_in_portions(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_JOBS", 1)
    with serving(house) as http:
        missed = {submit(http, 1).split("/")[2] for _ in range(3)}
        house.work()
        with listening(http, "/events", "0") as stream:
            told = [next(stream).data for _ in missed]
    assert {(job["id"], job["status"]) for job in told} == {(job_id, "succeeded") for job_id in missed}


def test_all_jobs_are_told_without_a_broker_too(house: House) -> None:
    house.settings, house.channel.is_away = ApiSettings(poll_s=0.1), True
    with serving(house) as http, listening(http, "/events") as stream:
        job = submit(http, 1).split("/")[2]
        statuses = [next(stream).data["status"]]
        house.work()
        while statuses[-1] != "succeeded":
            event = next(stream)
            assert event.data["id"] == job
            statuses.append(event.data["status"])
    assert statuses[0] == "queued"


def test_whoever_listens_to_all_is_not_told_what_somebody_else_asks_for(house: House) -> None:
    house.settings = ApiSettings(heartbeat_s=0.3)
    with serving(house) as http:
        old = submit(http, 1)
        house.work()
        with http.stream("GET", "/events") as answer:
            lines = answer.iter_lines()
            with listening(http, old) as stream:
                assert list(stream)[-1].data["status"] == "succeeded"
            assert next(lines).startswith(":")


@pytest.mark.parametrize("identity", ["x", "-1", "1.5", "9" * 30])
def test_an_id_that_is_no_time_is_a_field_fault(house: House, identity: str) -> None:
    with serving(house) as http:
        answer = http.get("/events", headers={"Last-Event-ID": identity})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Last-Event-ID")
