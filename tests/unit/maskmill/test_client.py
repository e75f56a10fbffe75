"""The client against a real socket: what it sends, when it tries again, what it raises."""

from __future__ import annotations

import json
import re
import resource
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.schemas.job import ErrorView
from maskmill import APIError, Maskmill
from maskmill.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    ServerError,
    ServerUnreachable,
    TooLarge,
    Unprocessable,
    WaitTimeout,
)
from tests.unit.maskmill.toy_server import Answer, Received, ToyServer, as_json, problem


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
    return [tmp_path / "a.jpg", tmp_path / "b.png"]


def _client(server: ToyServer, *, patience: float = 5.0) -> Maskmill:
    return Maskmill(server.url, timeout=5.0, patience=patience)


def test_files_and_options_arrive_as_one_form(server: ToyServer, job_state, pictures) -> None:
    server.on("POST", "/jobs", as_json(job_state(), 202))
    with _client(server) as client:
        job = client.submit(pictures, masks=[pictures[1]], model="toy", artifacts=("mask",))
    (request,) = server.seen("POST", "/jobs")
    assert job.id == "job_1"
    assert len(request.body) == int(request.headers["content-length"])
    assert request.body.count(b'name="files"') == 2
    assert request.body.count(b'name="masks"; filename="b.png"') == 1
    assert json.dumps({"model": "toy", "artifacts": ["mask"]}).encode() in request.body
    assert b"a.jpg" * 1000 in request.body


def test_addresses_and_samples_go_as_json(server: ToyServer, job_state) -> None:
    server.on("POST", "/jobs", as_json(job_state(), 202))
    with _client(server) as client:
        client.submit(["https://example.org/a.jpg", {"sample": "one"}], model="toy")
    sent = json.loads(server.requests[0].body)
    assert sent == {"inputs": [{"url": "https://example.org/a.jpg"}, {"sample": "one"}], "model": "toy"}


def test_a_submission_that_broke_off_is_sent_again_with_the_same_key_and_body(
    server: ToyServer, job_state, pictures
) -> None:
    broken = Answer(202, b"x" * 10, cut_after=0)
    server.on("POST", "/jobs", broken, problem(503, "queue_unavailable", Retry_After="0"), as_json(job_state(), 202))
    with _client(server) as client:
        client.submit(pictures)
    sent = server.seen("POST", "/jobs")
    assert len(sent) == 3
    assert len({request.headers["idempotency-key"] for request in sent}) == 1
    assert len({request.body for request in sent}) == 1


@pytest.mark.parametrize("key", ["run 7", "a;b", 'a"b', "k" * 255])
def test_a_key_may_be_anything_that_a_header_carries(server: ToyServer, job_state, pictures, key: str) -> None:
    server.on("POST", "/jobs", as_json(job_state(), 202))
    with _client(server) as client:
        client.submit(pictures, idempotency_key=key)
    (sent,) = server.seen("POST", "/jobs")
    assert sent.headers["idempotency-key"] == key
    boundary = re.fullmatch(r"multipart/form-data; boundary=([a-z0-9-]+)", sent.headers["content-type"])
    assert boundary is not None
    assert sent.body.startswith(f"--{boundary[1]}\r\n".encode())


@pytest.mark.parametrize("key", ["", " a", "a\n", "größe", "k" * 256])
def test_a_key_that_no_header_carries_is_refused_before_anything_is_sent(server: ToyServer, pictures, key: str) -> None:
    with _client(server) as client, pytest.raises(InvalidInput, match="idempotency key"):
        client.submit(pictures, idempotency_key=key)
    assert not server.requests


def test_a_submission_still_being_read_is_waited_for_longer(server: ToyServer, job_state, pictures) -> None:
    server.on("POST", "/jobs", problem(409, "idempotency_in_progress"), as_json(job_state(), 202))
    with _client(server, patience=0.01) as client:
        assert client.submit(pictures).id == "job_1"


def test_a_busy_server_is_asked_again_after_the_pause_it_names(server: ToyServer) -> None:
    server.on("GET", "/models", problem(429, "rate_limited", Retry_After="0.1"), as_json({"items": [{"name": "toy"}]}))
    with _client(server) as client:
        assert client.models() == [{"name": "toy"}]


def test_patience_ends(server: ToyServer) -> None:
    server.on("GET", "/models", problem(503, "database_unavailable", "the database is away"))
    with _client(server, patience=0.5) as client, pytest.raises(ServerError) as caught:
        client.models()
    assert (caught.value.code, caught.value.status) == ("database_unavailable", 503)
    assert len(server.requests) >= 2


def test_patience_is_counted_from_the_first_failure(server: ToyServer, job_state, pictures) -> None:
    def break_late(_: Received) -> Answer:
        time.sleep(0.7)  # a long upload
        return Answer(202, b"x", cut_after=0)

    server.on("POST", "/jobs", break_late, as_json(job_state(), 202))
    with _client(server, patience=0.5) as client:
        assert client.submit(pictures).id == "job_1"


def test_a_retry_of_images_is_never_sent_twice(server: ToyServer, job_state) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("partial", done=3, failed=1)))
    server.on("POST", "/jobs/job_1/retry", Answer(202, b"x" * 10, cut_after=0))
    with _client(server) as client, pytest.raises(ServerUnreachable):
        client.job("job_1").retry()
    assert len(server.seen("POST", "/jobs/job_1/retry")) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (409, Conflict), (413, TooLarge), (422, Unprocessable), (500, ServerError)]
)
def test_a_refusal_is_an_exception_with_code_status_and_detail(
    server: ToyServer, status: int, kind: type[APIError]
) -> None:
    server.on("GET", "/jobs/job_1", problem(status, "some_code", "because"))
    with _client(server) as client, pytest.raises(kind) as caught:
        client.job("job_1")
    error = caught.value
    assert (error.status, error.code, error.detail, error.request_id) == (status, "some_code", "because", "req_1")


def test_an_answer_that_is_no_problem_document_still_tells_its_status(server: ToyServer) -> None:
    server.on("GET", "/jobs/job_1", Answer(404, b"<html>"))
    with _client(server) as client, pytest.raises(NotFound) as caught:
        client.job("job_1")
    assert caught.value.code == "unknown"


def test_nobody_at_the_address_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Maskmill(address, patience=0.3) as client, pytest.raises(ServerUnreachable, match=address):
            client.models()


@pytest.mark.parametrize("text", ["localhost:8008", "ftp://host", "http://host:port"])
def test_something_that_is_no_address_is_said_so(text: str) -> None:
    with pytest.raises(InvalidInput, match="not the address"):
        Maskmill(text)


def test_a_file_that_shrinks_while_it_is_sent_fails_and_does_not_corrupt(server: ToyServer, tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"x" * 2_000_000)
    server.on("POST", "/jobs", as_json({}, 202))

    def shrink(sent: int, _: int) -> None:
        picture.write_bytes(b"")

    with _client(server) as client, pytest.raises(InvalidInput, match="shorter"):
        client.submit(picture, on_sent=shrink)


def test_waiting_looks_until_the_job_has_ended(server: ToyServer, job_state) -> None:
    looks = [as_json(job_state("running", done=done), ETag=f'"{done}"') for done in (1, 2)]
    server.on("GET", "/jobs/job_1", *looks, Answer(304), as_json(job_state("succeeded", done=4)))
    seen: list[int] = []
    with _client(server) as client:
        job = client.job("job_1").wait(on_progress=lambda job: seen.append(job.finished_images))
    assert (job.status, seen) == ("succeeded", [1, 2, 2, 4])
    assert server.requests[2].headers["if-none-match"] == '"2"'
    assert int(server.requests[1].query["wait"]) > 0


def test_waiting_ends_with_its_timeout(server: ToyServer, job_state) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("running", done=1)))
    with _client(server) as client, pytest.raises(WaitTimeout, match="1/4"):
        client.job("job_1").wait(timeout=0.3)


def _rows(*statuses: str) -> list[dict[str, object]]:
    return [{"index": index, "name": f"{index}.jpg", "status": status} for index, status in enumerate(statuses)]


def test_images_are_given_once_each_as_they_finish(server: ToyServer, job_state) -> None:
    server.on("GET", "/jobs/job_1", *(as_json(job_state("running")),) * 2, as_json(job_state("succeeded", done=4)))
    pages = (
        _rows("succeeded", "running", "queued"),
        _rows("succeeded", "running", "failed"),
        _rows(*["succeeded"] * 3),
    )
    server.on("GET", "/jobs/job_1/images", *(as_json({"items": page, "next_cursor": None}) for page in pages))
    with _client(server) as client:
        given = [image.index for image in client.job("job_1").images()]
    assert given == [0, 2, 1]


def test_pages_that_are_seen_whole_are_not_read_again(server: ToyServer, job_state) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("running")), as_json(job_state("succeeded", done=4)))

    def page(request: Received) -> Answer:
        first = "cursor" not in request.query
        items = _rows("succeeded", "succeeded") if first else [{"index": 2, "name": "c", "status": "succeeded"}]
        return as_json({"items": items, "next_cursor": "two" if first else None})

    server.on("GET", "/jobs/job_1/images", page)
    with _client(server) as client:
        assert len(list(client.job("job_1").images())) == 3
    assert [request.query.get("cursor") for request in server.seen("GET", "/jobs/job_1/images")] == [None, "two", "two"]


def test_an_image_gives_its_artifacts(server: ToyServer, job_state, tmp_path: Path) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("succeeded", done=1, total=1)))
    row = {**_rows("succeeded")[0], "artifacts": {"mask": "/jobs/job_1/images/0/mask"}, "metrics": {"miou": 0.5}}
    server.on("GET", "/jobs/job_1/images", as_json({"items": [row], "next_cursor": None}))
    server.on("GET", "/jobs/job_1/images/0/mask", Answer(200, b"PNG"))
    server.on("GET", "/jobs/job_1/images/0/input", Answer(200, b"JPEG"))
    with _client(server) as client:
        (image,) = client.job("job_1").results()
        assert (image.read("mask"), image.metrics["miou"], image.error) == (b"PNG", 0.5, None)
        assert image.save("input", tmp_path / "deep" / "a.jpg").read_bytes() == b"JPEG"


def test_jobs_are_listed_over_pages_up_to_a_limit(server: ToyServer, job_state) -> None:
    server.on("GET", "/jobs", as_json({"items": [job_state()] * 2, "next_cursor": "more"}))
    with _client(server) as client:
        assert [len(client.jobs(limit=limit)) for limit in (3, 0)] == [3, 0]


def test_the_inputs_of_a_job_are_taken_once_more(server: ToyServer, job_state) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("succeeded", done=4)))
    server.on("POST", "/jobs", as_json(job_state(), 202))
    with _client(server) as client:
        client.submit(client.job("job_1"), model="other")
        client.submit({"job": "job_1", "status": "failed"})
    first, second = (json.loads(each.body) for each in server.seen("POST", "/jobs"))
    assert first == {"inputs": [{"job": "job_1"}], "model": "other"}
    assert second == {"inputs": [{"job": "job_1", "status": "failed"}]}


def test_jobs_and_images_are_asked_for_by_what_they_are(server: ToyServer, job_state) -> None:
    server.on("GET", "/jobs", as_json({"items": [job_state()], "next_cursor": None}))
    server.on("GET", "/jobs/job_1/images", as_json({"items": [], "next_cursor": None}))
    when = datetime(2026, 11, 30, 8, tzinfo=UTC)
    with _client(server) as client:
        (job,) = client.jobs(
            metadata={"run": 7, "site": "7"}, created_after=when, created_before="2026-11-30T09:00:00Z"
        )
        assert list(job.rows(name="cam/", error="timed_out", ref=None)) == []
        for wrong in ("yesterday", "0001-01-01T00:00:00+14:00"):
            with pytest.raises(InvalidInput, match="times are written like"):
                client.jobs(created_after=wrong)
    (asked,) = server.seen("GET", "/jobs")
    assert (asked.query["metadata.run"], asked.query["metadata.site"]) == ("7", "7")
    assert datetime.fromisoformat(asked.query["created_after"]) == when
    assert datetime.fromisoformat(asked.query["created_before"]) == when + timedelta(hours=1)
    (asked,) = server.seen("GET", "/jobs/job_1/images")
    assert asked.query == {"limit": "200", "name": "cam/", "error": "timed_out"}


def test_deleting_what_is_gone_is_no_error(server: ToyServer, job_state) -> None:
    server.on("GET", "/jobs/job_1", as_json(job_state("succeeded", done=4)))
    server.on("DELETE", "/jobs/job_1", problem(404, "job_not_found"))
    with _client(server) as client:
        client.job("job_1").delete()


def test_predict_gives_the_bytes_at_once(server: ToyServer, pictures) -> None:
    server.on("POST", "/predict", Answer(200, b"PNG", {"Content-Type": "image/png"}))
    with _client(server) as client:
        assert client.predict(pictures[0], model="toy") == b"PNG"
    assert server.requests[0].headers["accept"] == "image/png"


def test_predict_waits_for_the_job_of_a_slow_answer(server: ToyServer, job_state, pictures) -> None:
    server.on("POST", "/predict", as_json(job_state(total=1), 202))
    server.on("GET", "/jobs/job_1", as_json(job_state("succeeded", done=1, total=1)))
    server.on("GET", "/jobs/job_1/images", as_json({"items": _rows("succeeded"), "next_cursor": None}))
    server.on("GET", "/jobs/job_1/images/0/overlay", Answer(200, b"JPEG"))
    with _client(server) as client:
        assert client.predict(pictures[0], artifact="overlay") == b"JPEG"


def test_predict_raises_the_error_of_an_image_that_failed_late(server: ToyServer, job_state, pictures) -> None:
    error = ErrorView(code="unreadable_image", message="a.jpg is not a picture")
    row = _rows("failed")[0] | {"error": error.model_dump()}
    server.on("POST", "/predict", as_json(job_state("failed", total=1, failed=1), 202))
    server.on("GET", "/jobs/job_1/images", as_json({"items": [row], "next_cursor": None}))
    with _client(server) as client, pytest.raises(Unprocessable, match="is not a picture") as caught:
        client.predict(pictures[0])
    assert caught.value.code == "unreadable_image"


@pytest.mark.parametrize("is_late", [False, True])
def test_predict_tells_that_its_image_was_canceled(server: ToyServer, job_state, pictures, is_late: bool) -> None:
    row = _rows("canceled")[0]
    server.on("POST", "/predict", as_json(job_state("canceled", total=1), 202) if is_late else as_json(row))
    server.on("GET", "/jobs/job_1/images", as_json({"items": [row], "next_cursor": None}))
    with _client(server) as client, pytest.raises(Conflict, match=r"0\.jpg was canceled"):
        client.predict(pictures[0])


def test_ready_tells_whether_all_parts_are_there(server: ToyServer) -> None:
    server.on("GET", "/ready", problem(503, "not_ready", "no worker"), as_json({"status": "ready"}))
    with _client(server) as client:
        assert (client.ready(), client.ready()) == (False, True)


@pytest.mark.parametrize("key", ["mm_se cret", "mm_secret\nX-Y: z", "mm_secret–"])
def test_what_cannot_be_a_key_is_refused_and_not_told(server: ToyServer, key: str) -> None:
    with pytest.raises(InvalidInput, match="API key") as raised:
        Maskmill(server.url, api_key=key)
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize("key", ["mm_1", " mm_1\n"])  # the latter out of a file
def test_a_key_is_sent_as_a_bearer_token(server: ToyServer, key: str) -> None:
    server.on("GET", "/limits", as_json({"max_images": 3}))
    with Maskmill(server.url, api_key=key) as client:
        assert client.limits() == {"max_images": 3}
    assert server.requests[0].headers["authorization"] == "Bearer mm_1"


def test_a_thousand_files_need_few_descriptors(server: ToyServer, job_state, tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number}.jpg").write_bytes(b"jpeg")
    server.on("POST", "/jobs", as_json(job_state(total=1000), 202))
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    with _client(server) as client:
        resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 20, usual[1]))
        try:
            client.submit(tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert server.requests[0].body.count(b'filename="') == 1000


def test_a_job_with_several_models_tells_of_each(server: ToyServer, job_state) -> None:
    results = {name: {"metrics": {"mean_confidence": 0.5}} for name in ("toy", "other")}
    server.on("GET", "/jobs/job_1", as_json({**job_state("succeeded"), "results": results}))
    server.on("GET", "/jobs/job_1/comparison", as_json({"disagreement": 0.25}))
    server.on("GET", "/jobs/job_1/images", as_json({"items": [{"index": 3, "artifacts": {"mask": "/x"}}]}))
    server.on("GET", "/jobs/job_1/images/3/mask", Answer(200, b"mask of other"))
    with _client(server) as client:
        job = client.job("job_1")
        assert dict(job.metrics_by_model) == {"toy": {"mean_confidence": 0.5}, "other": {"mean_confidence": 0.5}}
        assert job.comparison(contested=2) == {"disagreement": 0.25}
        (image,) = job.rows(sort="disagreement")
        assert image.read("mask", model="other") == b"mask of other"
    assert [request.query for request in server.requests[1::2]] == [{"contested": "2"}, {"model": "other"}]


def test_a_job_with_one_model_has_its_metrics_under_its_name(server: ToyServer, job_state) -> None:
    server.on("GET", "/jobs/job_1", as_json({**job_state("succeeded"), "model": "toy", "metrics": {"a": 1}}))
    with _client(server) as client:
        assert client.job("job_1").metrics_by_model == {"toy": {"a": 1}}


def test_no_proxy_is_asked_for_this_machine(server: ToyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "socks5://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    server.on("GET", "/ready", as_json({"status": "ready"}))
    with _client(server, patience=0.0) as client:
        assert client.ready()


def test_a_proxy_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setitem(__import__("sys").modules, "socksio", None)
    with pytest.raises(InvalidInput, match=r"the proxy .* cannot be used: .*socksio"):
        Maskmill("http://maskmill.example")
