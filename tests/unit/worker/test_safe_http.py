"""What becomes of a request when its name cannot be looked up as usual."""

from __future__ import annotations

import threading
import time

import pytest

from jobs.addresses import Address
from worker.web.safe_http import Guard, NotReached, Request, ask


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("reason", [OSError(24, "too many open files"), ValueError("embedded null byte")])
def test_a_resolver_that_fails_oddly_is_heard_at_once(reason: Exception) -> None:
    def odd(host: str, port: int) -> list[Address]:
        raise reason

    began = time.monotonic()
    request = Request(url="http://odd.example.org/a")
    with pytest.raises(NotReached, match="could not be resolved") as caught, ask(request, Guard(resolve=odd)):
        pass
    assert not caught.value.lasting
    assert time.monotonic() - began < 20  # of the guard's 30 s
    for thread in threading.enumerate():
        if thread.name == "resolver":  # which tells of its error after the answer: in this test, not in the next one
            thread.join(60)
