"""Bodies as they come: parsing, limits, backpressure, and nothing accepted by halves."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from api.bodies.body_pipe import ROOM, BodyPipe, BodyRules, read_in_thread
from api.edge.places import Places
from api.errors import BadRequest, RequestTimeout, Stopping, UploadsBusy
from jobs.errors import TooManyBytes
from jobs.ports import Readable
from tests.factories import picture, zip_of
from tests.fakes import MemoryObjects
from tests.unit.api.house import House


def request_of(pieces: AsyncIterator[bytes], *, length: int | None = None) -> Request:
    async def receive() -> Message:
        try:
            return {"type": "http.request", "body": await anext(pieces), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}
        except ConnectionError:
            return {"type": "http.disconnect"}

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return Request({"type": "http", "headers": headers}, receive)


def busy() -> UploadsBusy:
    return UploadsBusy("too many")


def rules(limit: int = 1 << 30, idle_s: float = 5.0, longest_s: float = 60.0, least_rate: float = 0.0) -> BodyRules:
    places = Places(1, per_caller=1, wait_s=0.05, busy=busy, threads=1)
    return BodyRules(limit=limit, idle_s=idle_s, longest_s=longest_s, least_rate=least_rate, places=places)


def total(pieces: Iterator[bytes]) -> int:
    return sum(len(piece) for piece in pieces)


async def endless(pause_s: float = 0.0) -> AsyncIterator[bytes]:
    while True:
        yield bytes(1 << 16)
        await asyncio.sleep(pause_s)


def test_a_body_reaches_the_thread_whole() -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(1 << 16)

    assert asyncio.run(read_in_thread(request_of(body()), total, rules())) == 100 << 16


def test_a_declared_length_beyond_the_limit_is_refused_before_reading() -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    with pytest.raises(TooManyBytes):
        asyncio.run(read_in_thread(request_of(never(), length=1001), total, rules(1000)))


def test_a_body_without_a_length_is_counted_on_the_way() -> None:
    with pytest.raises(TooManyBytes):
        asyncio.run(read_in_thread(request_of(endless()), total, rules(1 << 20)))


def test_a_client_that_goes_away_is_told_to_the_thread() -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b"x"
        raise ConnectionError

    with pytest.raises(ClientDisconnect):
        asyncio.run(read_in_thread(request_of(cut()), total, rules()))


def test_a_small_body_is_there_before_a_thread_begins() -> None:
    seen = []

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            seen.append("piece")
            yield b"xyz"

    def work(pieces: Iterator[bytes]) -> int:
        seen.append("thread")
        return total(pieces)

    assert asyncio.run(read_in_thread(request_of(body(), length=9), work, rules(), held=9)) == 9
    assert seen == ["piece", "piece", "piece", "thread"]


def test_no_thread_begins_for_a_small_body_that_does_not_come() -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b"x"
        raise ConnectionError

    def work(pieces: Iterator[bytes]) -> None:
        raise AssertionError("a thread has begun")

    with pytest.raises(ClientDisconnect):
        asyncio.run(read_in_thread(request_of(cut(), length=9), work, rules(), held=9))
    with pytest.raises(RequestTimeout):
        asyncio.run(read_in_thread(request_of(endless(pause_s=5), length=9), work, rules(idle_s=0.05), held=9))


@pytest.mark.parametrize("held", [0, 9])
def test_who_still_sends_when_the_server_ends_is_told_to_send_it_again(held: int) -> None:
    async def scene() -> int:
        begun = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            begun.set()
            await asyncio.sleep(60)
            yield b""

        reading = asyncio.create_task(read_in_thread(request_of(body(), length=9), total, rules(), held=held))
        await begun.wait()
        reading.cancel()
        return await reading

    with pytest.raises(Stopping):
        asyncio.run(scene())


def test_a_client_that_sends_nothing_is_given_up() -> None:
    with pytest.raises(RequestTimeout):
        asyncio.run(read_in_thread(request_of(endless(pause_s=5)), total, rules(idle_s=0.05)))


def drops(pause_s: float) -> AsyncIterator[bytes]:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(pause_s)

    return body()


def test_a_client_that_sends_a_drop_now_and_then_is_given_up() -> None:
    """However short its pauses are."""
    with pytest.raises(RequestTimeout, match="more slowly than 1000 bytes"):
        asyncio.run(read_in_thread(request_of(drops(0.01)), total, rules(idle_s=0.5, least_rate=1000)))


def test_a_body_has_a_longest_time_as_a_whole() -> None:
    with pytest.raises(RequestTimeout, match=r"longer than 0\.1 s"):
        asyncio.run(read_in_thread(request_of(drops(0.01)), total, rules(longest_s=0.1)))


def test_the_time_that_we_take_ourselves_makes_no_client_slow() -> None:
    def slow(pieces: Iterator[bytes]) -> int:
        size = 0
        for piece in pieces:
            time.sleep(0.1)
            size += len(piece)
        return size

    async def body() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield bytes(1 << 20)

    whole = asyncio.run(read_in_thread(request_of(body()), slow, rules(idle_s=0.8, least_rate=1 << 32)))
    assert whole == 12 << 20


@pytest.mark.parametrize("length", ["9" * 4401, "-1", "1e3", "x"])
def test_a_length_that_no_body_can_have_is_a_bad_request(length: str) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    request = request_of(never())
    request.scope["headers"] = [(b"content-length", length.encode())]
    with pytest.raises(BadRequest, match="Content-Length"):
        asyncio.run(read_in_thread(request, total, rules()))


def test_slow_clients_take_no_places_from_others_and_one_client_not_all() -> None:
    """Places for three, for one client two: a third body of that client waits in vain, another client's is read."""

    async def scene() -> list[object]:
        places = Places(3, per_caller=2, wait_s=0.05, busy=busy, threads=1)
        held = asyncio.Event()

        async def hold(caller: str) -> str:
            async with places.one(caller):
                await held.wait()
            return caller

        first = [asyncio.create_task(hold("a")) for _ in range(2)]
        await asyncio.sleep(0.01)
        results: list[object] = []
        for caller in ("a", "b"):
            task = asyncio.create_task(hold(caller))
            _, waiting = await asyncio.wait([task], timeout=0.02 if caller == "b" else 60)
            results.append(task in waiting if caller == "b" else task.exception())
            first += [task] if caller == "b" else []
        places._wait_s = 60
        late = asyncio.create_task(hold("c"))  # waits, and has its turn when the others are done
        await asyncio.sleep(0.01)
        held.set()
        return [*results, await asyncio.gather(*first, late)]

    refused, reads, done = asyncio.run(scene())
    assert isinstance(refused, UploadsBusy)
    assert (reads, done) == (True, ["a", "a", "b", "c"])


def test_a_place_that_nobody_takes_up_goes_to_the_next() -> None:
    """The first who waits is gone in the moment in which it is its turn."""

    async def scene() -> bool:
        places = Places(1, per_caller=1, wait_s=60, busy=busy, threads=1)
        done = asyncio.Event()

        async def hold(caller: str) -> str:
            async with places.one(caller):
                await done.wait()
            if caller == "a":
                second.cancel()
            return caller

        first, second, third = (asyncio.create_task(hold(each)) for each in "abc")
        await asyncio.sleep(0.01)
        done.set()
        await first
        assert await third == "c"
        return second.cancelled()

    assert asyncio.run(scene())


def test_who_waits_for_a_place_is_told_when_to_come_again(
    house: House, open_client: Callable[[House], TestClient]
) -> None:
    house.settings = house.settings.model_copy(update={"uploads_at_once": 1, "upload_wait_s": 0.05})
    house.objects = store = StuckObjects()
    client = open_client(house)
    answers: list[int] = []
    first = threading.Thread(
        target=lambda: answers.append(client.post("/jobs", files={"files": ("a.jpg", picture())}).status_code)
    )
    first.start()
    store.asked.wait(60)
    busy = client.post("/jobs", files={"files": ("b.jpg", picture())})
    store.go.set()
    first.join(60)
    assert (busy.status_code, busy.json()["code"], answers) == (503, "uploads_busy", [202])
    assert int(busy.headers["retry-after"]) > 0
    assert client.post("/jobs", files={"files": ("b.jpg", picture())}).status_code == 202


class StuckObjects(MemoryObjects):
    """A store that takes nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = threading.Event(), threading.Event()

    def put(self, key: str, data: bytes | Readable, *, media_type: str) -> int:
        self.asked.set()
        self.go.wait(60)
        return super().put(key, data, media_type=media_type)


def test_work_that_stops_early_ends_the_reading() -> None:
    def stop(pieces: Iterator[bytes]) -> None:
        next(pieces)
        raise BadRequest("enough")

    with pytest.raises(BadRequest):
        asyncio.run(read_in_thread(request_of(endless()), stop, rules()))


def test_a_slow_reader_holds_the_writer_back() -> None:
    async def scene() -> int:
        pipe = BodyPipe()
        go = threading.Event()
        written = 0

        async def write() -> None:
            nonlocal written
            for _ in range(200):
                await pipe.put(bytes(1 << 16))
                written += 1 << 16
            pipe.close()

        writer = asyncio.create_task(write())
        reader = asyncio.create_task(asyncio.to_thread(lambda: go.wait() and total(iter(pipe))))
        await asyncio.sleep(0.1)
        held = written
        go.set()
        assert await reader == 200 << 16
        await writer
        return held

    assert asyncio.run(scene()) <= ROOM


def test_the_event_loop_is_free_while_a_file_is_stored() -> None:
    def slow(pieces: Iterator[bytes]) -> None:
        for _ in pieces:
            storing.set()
            assert go.wait(60)  # which only the event loop can say

    async def scene() -> None:
        async def body() -> AsyncIterator[bytes]:
            yield b"x"

        reading = asyncio.create_task(read_in_thread(request_of(body()), slow, rules()))
        while not storing.is_set() and not reading.done():  # noqa: ASYNC110  # it is a thread's doing
            await asyncio.sleep(0.01)
        go.set()
        await reading

    storing, go = threading.Event(), threading.Event()
    asyncio.run(scene())


def nothing_left(house: House) -> bool:
    with house.database.unit() as unit:
        drafts = unit.drafts.stale(older_than_s=-1, limit=10)
    return not house.objects.contents and not drafts and not list(house.spool.iterdir())


def form_of(*files: tuple[str, bytes], end: bytes = b"--B--\r\n") -> bytes:
    head = b'--B\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n'
    return b"".join(head % name.encode() + data + b"\r\n" for name, data in files) + end


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (form_of(("a.jpg", picture()), end=b""), "bad_request"),
        (form_of(("a.jpg", picture()), end=b"--B\r\nnonsense"), "bad_request"),
        (form_of(("a.jpg", picture()), ("b.txt", b"text")), "unsupported_media_type"),
        (form_of(("a.jpg", picture()), ("b.zip", b"no zip")), "archive_unreadable"),
        (form_of(("a.jpg", picture()), ("b.zip", zip_of({"c.jpg": picture()})[:-30])), "archive_unreadable"),
        (form_of(("a.jpg", picture()), ("b.jpg", bytes(2000)), ("c.jpg", bytes(9000))), "too_large"),
        (form_of(*[(f"{index}.jpg", b"x") for index in range(6)]), "too_many_images"),
        (form_of(), "no_images"),
    ],
    ids=["cut", "garbage", "text file", "no archive", "damaged archive", "bytes", "images", "nothing"],
)
def test_nothing_is_accepted_by_halves(
    house: House, open_client: Callable[[House], TestClient], body: bytes, code: str
) -> None:
    house.settings = house.settings.model_copy(update={"max_request_bytes": 10_000, "max_images": 5})
    headers = {"Content-Type": "multipart/form-data; boundary=B", "Idempotency-Key": "k"}
    client = open_client(house)
    answer = client.post("/jobs", content=io.BytesIO(body), headers=headers)
    assert answer.json()["code"] == code
    assert client.get("/jobs").json()["items"] == []
    assert nothing_left(house)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"file": ("a.jpg", picture())}, "file"),
        ({"files": (None, "a.jpg")}, "files"),
        ({"files": ("a.jpg", picture()), "sise": (None, "1")}, "sise"),
        ({"files": ("a.jpg", picture()), "masks": ("b_mask.png", picture())}, "masks"),
    ],
)
def test_a_field_in_the_wrong_place_is_named(
    client: TestClient, house: House, form: dict[str, tuple[str | None, bytes | str]], field: str
) -> None:
    answer = client.post("/jobs", files=form)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert nothing_left(house)


def test_a_key_is_free_again_after_a_failure(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    assert client.post("/jobs", files={"files": ("a.txt", b"")}, headers=headers).status_code == 415
    assert client.post("/jobs", files={"files": ("a.jpg", picture())}, headers=headers).status_code == 202


def test_a_body_that_stopped_coming_ends_the_connection(
    house: House, open_client: Callable[[House], TestClient]
) -> None:
    house.settings = house.settings.model_copy(update={"upload_idle_s": 1e-9, "upload_least_rate": 1e18})
    answer = open_client(house).post("/jobs", files={"files": ("a.jpg", picture())})
    assert (answer.status_code, answer.headers["connection"]) == (408, "close")
