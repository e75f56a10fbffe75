"""The watchdog ends a process whose device hangs, and leaves all others alone."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.services.processes import wait_for
from worker.watchdog import EXIT_CODE, Watchdog

HANGS = """
import logging, threading, time
from worker.watchdog import Watchdog
logging.basicConfig()
watchdog = Watchdog({limit})
def device():
    with watchdog.call("tiny, 1 × (3, 64, 64)"):
        time.sleep({call})
thread = threading.Thread(target=device)
thread.start()
thread.join()
print("went on")
"""


def run(*, limit: float, call: float) -> subprocess.CompletedProcess[str]:
    program = HANGS.format(limit=limit, call=call)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)


def test_a_call_that_hangs_ends_the_process_and_says_which():
    ended = run(limit=0.2, call=60)
    assert ended.returncode == EXIT_CODE
    assert "the device did not answer within 0.2 s (tiny, 1 × (3, 64, 64))" in ended.stderr
    assert "in device" in ended.stderr  # where every thread was


def test_a_call_that_ends_in_time_is_left_alone():
    assert run(limit=5, call=0.1).stdout == "went on\n"


def test_it_can_be_switched_off():
    assert run(limit=0, call=0.3).stdout == "went on\n"


def test_each_call_has_its_own_time(monkeypatch: pytest.MonkeyPatch):
    hung: list[str] = []
    watchdog, now = Watchdog(60, hung=lambda what, limit_s: hung.append(what)), 0.0
    monkeypatch.setattr("worker.watchdog.time", SimpleNamespace(monotonic=lambda: now))
    for _ in range(3):
        with watchdog.call("each"):
            now += 40.0
            watchdog._look()
    assert hung == []
    with watchdog.call("too long"):
        now += 61.0
        watchdog._look()
    watchdog.close()
    assert set(hung) == {"too long"}


def test_a_call_may_be_given_more_time(monkeypatch: pytest.MonkeyPatch):
    hung: list[tuple[str, float]] = []
    watchdog, now = Watchdog(60, hung=lambda what, limit_s: hung.append((what, limit_s))), 0.0
    monkeypatch.setattr("worker.watchdog.time", SimpleNamespace(monotonic=lambda: now))
    with watchdog.call("loading", limits=2):
        now = 119.0
        watchdog._look()
        assert not hung
        now = 121.0
        watchdog._look()
    watchdog.close()
    assert hung[0] == ("loading", 120.0)


def test_it_goes_on_watching_when_ending_the_process_fails():
    hung: list[str] = []

    def fail_first(what: str, limit_s: float) -> None:
        hung.append(what)
        if len(hung) == 1:
            raise RuntimeError("nobody foresaw this")

    watchdog = Watchdog(0.1, hung=fail_first)
    with watchdog.call("stuck"):
        wait_for(lambda: len(hung) > 1, what="a second look")
    watchdog.close()
