"""What is held only as long as somebody keeps saying so."""

from __future__ import annotations

import pytest

from jobs.errors import DatabaseUnavailable
from jobs.processing.heartbeat import Heartbeat
from tests.services.processes import wait_for


class Failing(Heartbeat):
    """Raises `errors` one after the other, then renews."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__("test", every_s=0.01)
        self.errors = list(errors)
        self.renewed = 0

    def renew(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.renewed += 1


@pytest.mark.parametrize("error", [DatabaseUnavailable("away"), RuntimeError("nobody foresaw this")])
def test_it_goes_on_after_every_error(error: Exception, caplog: pytest.LogCaptureFixture):
    with Failing(error, error) as heartbeat:
        wait_for(lambda: heartbeat.renewed > 0, what="a heartbeat after the errors")
    assert caplog.text.count("not renewed") == 2


def test_what_ends_before_it_has_begun_needs_no_thread():
    heartbeat = Failing()
    heartbeat.end()
    assert heartbeat.renewed == 0
