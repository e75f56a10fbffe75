"""How log lines look, what they belong to, and what never stands in them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from telemetry import trail
from telemetry.log_lines import TALKATIVE, JsonLines, TextLines, formatter_for, set_up_logging
from telemetry.secrets import without_secrets


@pytest.fixture
def quiet_levels() -> Iterator[None]:
    """Afterwards they are as they were."""
    levels = {name: logging.getLogger(name).level for name in TALKATIVE}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(autouse=True)
def nameless_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of this process may have begun what a worker begins, its name in each line included."""
    monkeypatch.setattr(trail, "_of_process", {})


def before_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process is before anybody set logging up."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)


def record(message: str = "job taken", **extra: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "x", **extra})


@pytest.mark.usefixtures("quiet_levels")
def test_logging_is_set_up_only_where_nobody_did(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up_logging()
    assert not any(isinstance(handler.formatter, TextLines) for handler in logging.root.handlers)
    before_logging(monkeypatch)
    set_up_logging(level="debug")
    assert isinstance(logging.root.handlers[0].formatter, TextLines)
    assert logging.root.level == logging.DEBUG


@pytest.mark.usefixtures("quiet_levels")
def test_what_our_own_lines_say_is_not_said_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    before_logging(monkeypatch)
    set_up_logging()
    assert {name for name in TALKATIVE if logging.getLogger(name).isEnabledFor(logging.INFO)} == set()
    assert logging.getLogger("jobs.upkeep").isEnabledFor(logging.INFO)


def test_a_line_of_text_is_a_sentence_with_what_it_belongs_to() -> None:
    with trail.following({"request_id": "r-1"}):
        line = TextLines("%(levelname)s %(message)s").format(record(job_id="job_1"))
    assert line == "INFO job taken job_id=job_1 request_id=r-1"


def test_a_line_of_json_is_one_object_with_what_it_belongs_to() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        failed = record("it failed:\nagain", exc_info=(ValueError, error, error.__traceback__), image=3, why=error)
    with trail.following({"request_id": "r-1"}), trail.following({"attempt": 2}):
        line = formatter_for("json").format(failed)
    assert "\n" not in line
    said = json.loads(line)
    assert {name: said[name] for name in ("level", "logger", "message", "image", "attempt", "request_id", "why")} == {
        "level": "info",
        "logger": "x",
        "message": "it failed:\nagain",
        "image": 3,
        "attempt": 2,
        "request_id": "r-1",
        "why": "two\nlines",
    }
    assert said["exception"].startswith("Traceback")
    assert said["time"].endswith("+00:00")


def test_a_trail_ends_with_its_block_and_follows_into_threads_that_are_given_it() -> None:
    with ThreadPoolExecutor(1) as pool:
        with trail.following({"request_id": "r-1"}):
            inside = pool.submit(copy_context().run, trail.request_id)
            outside = pool.submit(trail.request_id)
        assert (inside.result(), outside.result(), trail.request_id()) == ("r-1", None, None)


def test_what_is_said_of_another_job_is_not_laid_to_this_ones_request() -> None:
    with trail.following({"request_id": "r-1", "job_id": "job_1"}):
        same, other = (json.loads(JsonLines().format(record(job_id=job))) for job in ("job_1", "job_2"))
        with trail.following({"job_id": "job_2", "image": 1}):
            inside = trail.current()
    assert (same["request_id"], "request_id" in other) == ("r-1", False)
    assert "request_id" not in inside


def test_all_lines_of_a_process_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "_of_process", {})
    trail.of_process({"worker": "w1"})
    assert json.loads(JsonLines().format(record()))["worker"] == "w1"


SECRETS = {
    "mm_live_0123456789abcdefABCDEF": "mm_",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": "whsec_",
    "Authorization: Bearer mm_k1_0123456789abcdef": "Bearer",
    "http://s3/x?X-Amz-Signature=0123456789abcdef&X-Amz-Date=1": "X-Amz-Date=1",
    "/uploads/upl_1?expires=5&signature=0123456789abcdef": "expires=5",
    "v1,0123456789abcdef0123456789abcdef0123456789A=": "v1,",
    "redis://:0123456789abcdef@127.0.0.1:6379/0": "@127.0.0.1:6379/0",
    "postgresql://maskmill:0123456789abcdef@host/db": "postgresql://maskmill:",
    "?token=0123456789abcdef": "token=",
    "X-Amz-Credential%3D0123456789abcdef": "X-Amz-Credential",
}


@pytest.mark.parametrize("said", SECRETS)
@pytest.mark.parametrize("form", ["text", "json"])
def test_keys_signatures_and_passwords_stand_in_no_line(said: str, form: str) -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter_for("json" if form == "json" else "text"))
    logger = logging.Logger("x")  # noqa: LOG001 - of this test alone
    logger.addHandler(handler)
    try:
        raise OSError(f"no answer from {said}")
    except OSError:
        logger.exception("calling %s", said, extra={"url": said})
    assert "0123456789abcdef" not in out.getvalue()
    assert "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" not in out.getvalue()
    assert SECRETS[said] in out.getvalue()


def test_what_is_no_secret_stays() -> None:
    said = "job_01JD3T1M4Z8Q5R6S7T8V9WAXBY took comm_0123456789 of http://127.0.0.1:8008/jobs?limit=5, v1, token: none"
    assert without_secrets(said) == said
