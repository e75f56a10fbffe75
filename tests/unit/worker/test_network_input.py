"""A network's input in serving is the one of training, to the last bit."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation.preprocessing import Preprocessing
from worker.pipeline import network_input as module
from worker.pipeline.network_input import SharedInputs, network_input

FIT = Preprocessing(long_side=96)
EXACT = Preprocessing(resize="exact", height=64, width=96, mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 1.0))


@pytest.fixture(autouse=True, params=["compiled", "plain"], scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compiled where that was built, and in Python alone."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "plain":
            patch.setattr(module, "library", lambda: None)
        yield


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("preprocessing", [FIT, EXACT])
@pytest.mark.parametrize(
    "size", [(64, 96), (128, 192), (130, 204), (131, 204), (130, 203), (191, 287), (192, 288), (256, 384), (20, 30)]
)
def test_it_is_what_training_sees(preprocessing: Preprocessing, size: tuple[int, int]) -> None:
    picture = noise(*size)
    assert np.array_equal(network_input(preprocessing, picture), preprocessing.apply(picture))


@settings(max_examples=60, deadline=None)
@given(st.integers(64, 400), st.integers(64, 400), st.integers(0, 9))
def test_it_is_so_for_any_picture(height: int, width: int, seed: int) -> None:
    picture = noise(height, width, seed)
    for preprocessing in (FIT, EXACT):
        tensor = network_input(preprocessing, picture)
        assert tensor.flags.c_contiguous
        assert np.array_equal(tensor, preprocessing.apply(picture))


def test_part_of_a_picture_will_do() -> None:
    part = noise(300, 400)[7:199, 11:299]
    assert np.array_equal(network_input(FIT, part), FIT.apply(part))


def test_models_that_prepare_a_picture_alike_are_given_one_tensor() -> None:
    inputs, picture = SharedInputs(), np.zeros((64, 96, 3), np.uint8)
    first = inputs.of(FIT, picture)
    assert inputs.of(replace(FIT), picture) is first
    assert inputs.of(replace(FIT, mean=(0, 0, 0)), picture) is not first
    assert inputs.of(FIT, picture) is first
    assert inputs.of(FIT, picture.copy()) is not first  # of another one, whatever it shows


def test_what_was_made_of_a_picture_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, picture = SharedInputs(), np.zeros((64, 96, 3), np.uint8)
    gone = weakref.ref(inputs.of(FIT, picture))
    assert gone() is not None
    del picture
    assert gone() is None
    monkeypatch.setattr(SharedInputs, "LARGEST", 0)
    picture = np.zeros((64, 96, 3), np.uint8)
    assert inputs.of(FIT, picture) is not inputs.of(FIT, picture)
