"""The short form of `make fuzz`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.run import fuzz, fuzzed_stack

LEAST_CASES = 100  # fewer would mean that it looked at half of the service


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_generated_request_is_answered_as_documented(tmp_path: Path) -> None:
    with fuzzed_stack(tmp_path) as (stack, key):
        report = fuzz(stack, key, examples=2, seed=1, limit_s=300, phases=("examples", "fuzzing", "stateful"))
    assert report.failures == ""
    assert report.cases >= LEAST_CASES
