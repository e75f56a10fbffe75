"""One job with several real models gives what a job for each gives, to the bit, and decodes each picture once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.comparison import Bench, differences, open_bench
from jobs.job import Job
from storage.settings import StorageSettings
from tests.factories import encoded, mask
from tests.tiny_models import BLUE, GREEN, RED, tiny_bundle, turned_bundle

COLOURS = np.array([RED, GREEN, BLUE], np.uint8)
TRUTH = np.repeat(np.repeat(np.array([[0, 1, 2, 11], [2, 2, 1, 0]], np.uint8), 16, axis=0), 16, axis=1)


def pictures(count: int) -> list[tuple[bytes, bytes | None]]:
    """Of three colours and noise; the last has no ground truth."""
    found: list[tuple[bytes, bytes | None]] = []
    for seed in range(count):
        noise = np.random.default_rng(seed).integers(0, 90, (*TRUTH.shape, 3), np.uint8)
        pixels = np.maximum(COLOURS[np.roll(TRUTH, 16 * seed, axis=1) % 3], noise)
        found.append((encoded(pixels, "PNG"), mask(TRUTH) if seed < count - 1 else None))
    return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], int, Job, list[Job]]:
    """What differs, how many pictures were decoded together, the job with all models, and the jobs with one each."""
    home: Path = tmp_path_factory.mktemp("home")
    tiny_bundle(home / "models", name="tiny")
    turned_bundle(home / "models", name="turned")
    tiny_bundle(home / "models", name="third", version="2")
    with open_bench(StorageSettings(home=home)) as bench:
        return _run(bench, "tiny", "turned", "third")


def _run(bench: Bench, *models: str) -> tuple[list[str], int, Job, list[Job]]:
    given = pictures(5)
    together = bench.run(given, *models)
    decoded = bench.decoder.decoded
    alone = [bench.run(given, each) for each in models]
    return differences(bench, together, alone), decoded, together, alone


def test_masks_metrics_and_sums_are_those_of_separate_jobs(ran: tuple[list[str], int, Job, list[Job]]) -> None:
    different, _, together, alone = ran
    assert different == []
    assert together.counts.succeeded == 5
    assert [each.totals[0].truth_images for each in alone] == [4, 4, 4]


def test_a_picture_is_decoded_once_for_all_models(ran: tuple[list[str], int, Job, list[Job]]) -> None:
    assert ran[1] == 5


def test_the_agreement_fits_the_models(ran: tuple[list[str], int, Job, list[Job]]) -> None:
    """The first and the third are the same network; the second says another class for every colour."""
    agreement = ran[2].agreement
    assert agreement is not None
    same, other, _ = (agreement.pairs[number] for number in (1, 0, 2))
    assert sum(same.same) == same.known == agreement.known
    assert sum(other.same) < 0.2 * other.known
    assert same.right is not None
    assert sum(same.right.first) == sum(same.right.second) == 0
