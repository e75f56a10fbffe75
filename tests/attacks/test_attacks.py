"""The pictures are what they are said to be, and what was measured is judged. The attacks: `make attacks`."""

from __future__ import annotations

import pytest

from segmentation.picture_files.pictures import probe
from tests.attacks.__main__ import _judged
from tests.attacks.bystander import Seen
from tests.attacks.costly import flat_png, scanned_jpeg

QUIET = {"api": 10**8, "worker": 10**9}


@pytest.mark.parametrize("channels", [3, 4])
def test_a_flat_picture_is_few_bytes_and_many_pixels(channels: int) -> None:
    data = flat_png(2_000, channels=channels)
    assert len(data) < 20_000
    assert (probe(data).width, probe(data).height) == (2_000, 2_000)


def test_a_jpeg_has_as_many_scans_as_it_is_asked_for() -> None:
    assert probe(scanned_jpeg(64, scans=50)).scans == 50


@pytest.mark.parametrize(
    ("seen", "peaks", "told"),
    [
        (Seen([0.29] * 9), QUIET, []),
        (Seen([0.31] * 9), QUIET, ["p95 310 ms of 100"]),
        (Seen([]), QUIET, ["p95 inf ms of 100"]),
        (Seen([0.1], {"503": 2}), QUIET, ["2 answers were 503"]),
        (Seen([0.1]), {"api": 4 * 10**8, "worker": 1}, ["api held 400 MB"]),
    ],
)
def test_what_a_bystander_suffers_and_the_parts_hold_is_judged(
    seen: Seen, peaks: dict[str, int], told: list[str]
) -> None:
    assert _judged(Seen([0.1] * 20), seen, peaks)["breaches"] == told
