"""The short form of `make fuzz`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.aftermath import aftermath
from tests.fuzz.hostile import attack
from tests.fuzz.run import fuzz, fuzzed_stack
from tests.soak.samples import slopes
from tests.soak.work import soak
from tests.stack import Stack

LEAST_CASES = 100  # fewer would mean that it looked at half of the service
FILES = 150

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, str]]:
    """A stack, and a key that may do everything."""
    with fuzzed_stack(tmp_path_factory.mktemp("fuzz")) as stack:
        yield stack


def test_every_generated_request_is_answered_as_documented(attacked: tuple[Stack, str]) -> None:
    stack, key = attacked
    report = fuzz(stack, key, examples=2, seed=1, limit_s=300, phases=("examples", "fuzzing", "stateful"))
    assert report.failures == ""
    assert report.cases >= LEAST_CASES


def test_hostile_files_and_requests_do_no_harm(attacked: tuple[Stack, str]) -> None:
    stack, key = attacked
    with stack.http() as http:
        http.headers["Authorization"] = f"Bearer {key}"
        found = attack(http, 1, FILES)
        assert [*found.breaches, *aftermath(stack, http)] == []
    assert found.cases == FILES


def test_ordinary_work_after_the_attack_is_done_and_watched(attacked: tuple[Stack, str]) -> None:
    """The short form of `make soak`."""
    stack, key = attacked
    with stack.http() as http:
        http.headers["Authorization"] = f"Bearer {key}"
        soaked = soak(stack, http, lasts_s=2, every_s=0.5, images=3)
    assert soaked.failures == []
    assert soaked.jobs >= 1
    assert set(slopes(soaked.samples)["memory (MiB)"]) == set(stack.processes)
