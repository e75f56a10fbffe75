"""Upsampling by blocks against the plain way: interpolate every class to full size, then take the largest."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.pipeline.certainty import measure, stretched
from worker.pipeline.upsample import best_class, between, blocks, choose, interpolate


def smooth(classes: int, height: int, width: int, *, seed: int = 0, blur: float = 1.5) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(size=(classes, height, width)).astype(np.float32)
    return np.stack([cv2.GaussianBlur(plane, (0, 0), blur) for plane in noise])


def plain(logits: NDArray[np.float32], height: int, width: int) -> NDArray[np.intp]:
    full = np.stack([cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in logits])
    return np.asarray(full.argmax(axis=0), np.intp)


@settings(deadline=None, max_examples=60)
@given(
    classes=st.integers(1, 20),
    source=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    target=st.tuples(st.integers(1, 300), st.sampled_from([1, 7, 90, 300, 5000])),
    seed=st.integers(0, 1000),
)
def test_ids_are_those_of_the_plain_way(classes: int, source: tuple[int, int], target: tuple[int, int], seed: int):
    logits = np.random.default_rng(seed).normal(size=(classes, *source)).astype(np.float32)
    ids = best_class(logits, *target)
    assert (ids == plain(logits, *target)).mean() > 0.999  # neighbouring values may be equal but for the last bit


@pytest.mark.parametrize(
    ("source", "target"), [((90, 120), (360, 480)), ((64, 128), (512, 1024)), ((48, 96), (375, 1242))]
)
def test_ids_of_a_smooth_map_are_those_of_the_plain_way(source: tuple[int, int], target: tuple[int, int]):
    logits = smooth(19, *source)
    assert (best_class(logits, *target) == plain(logits, *target)).mean() > 0.99999


def test_the_last_rows_of_a_large_picture_belong_to_the_last_row_of_logits():
    logits = smooth(3, 4, 5)
    np.testing.assert_array_equal(best_class(logits, 999, 4000), plain(logits, 999, 4000))


def test_it_agrees_with_torch():
    import torch

    logits = smooth(11, 30, 40)
    full = torch.nn.functional.interpolate(torch.from_numpy(logits)[None], (333, 477), mode="bilinear")
    assert (best_class(logits, 333, 477) == full[0].argmax(0).numpy()).mean() > 0.9999


def test_a_class_without_a_chance_is_left_out_and_nothing_changes():
    logits = smooth(6, 40, 40)
    logits[2] -= 100
    ids = best_class(logits, 160, 160)
    np.testing.assert_array_equal(ids, plain(logits, 160, 160))
    assert 2 not in ids


def test_of_equal_logits_the_first_class_wins():
    assert (best_class(np.zeros((4, 8, 8), np.float32), 32, 32) == 0).all()


def test_a_thin_ridge_between_two_pixels_is_found():
    """A class that is largest at no pixel may be largest between two."""
    logits = np.array([[[10, 0]], [[9, 9]], [[0, 10]]], np.float32)
    assert 1 in best_class(logits, 8, 64)


@pytest.mark.parametrize("length", [1, 31, 32, 33, 1000])
def test_blocks_cover_every_pixel_once(length: int):
    assert [pixel for first, last in blocks(length, 32) for pixel in range(first, last)] == list(range(length))


@pytest.mark.parametrize(("source", "target"), [(1, 1), (1, 50), (2, 333), (40, 40), (64, 100), (100, 7)])
def test_a_block_is_the_same_as_that_part_of_the_whole(source: int, target: int):
    plane = smooth(1, source, source)
    whole = cv2.resize(plane[0], (target, target), interpolation=cv2.INTER_LINEAR)
    everywhere = between(source, target, 0, target)
    at_once = interpolate(plane, everywhere, everywhere)[0]
    for top, bottom in blocks(target, 17):
        for left, right in blocks(target, 23):
            rows, columns = between(source, target, top, bottom), between(source, target, left, right)
            part = interpolate(plane, rows, columns)[0]
            np.testing.assert_allclose(part, whole[top:bottom, left:right], atol=1e-5)
            np.testing.assert_array_equal(part, at_once[top:bottom, left:right])


def test_the_first_of_equals_is_chosen():
    values = np.array([[[1, 5, 2]], [[1, 4, 3]], [[0, 5, 4]]], np.float32)
    ids = np.empty((1, 3), np.uint8)
    choose(values, np.array([2, 5, 9]), ids)
    assert ids.tolist() == [[2, 2, 9]]


def test_certainty_is_the_softmax_of_the_winner_and_its_entropy():
    logits = smooth(5, 12, 16) * 4
    shares = np.exp(logits) / np.exp(logits).sum(axis=0)
    certainty = measure(logits)
    np.testing.assert_allclose(certainty.confidence, shares.max(axis=0), rtol=1e-4)
    entropy = -(shares * np.log(shares)).sum(axis=0).mean() / np.log(5)
    assert certainty.mean_entropy == pytest.approx(entropy, rel=1e-4)


def test_certainty_stays_finite_for_enormous_logits():
    logits = np.zeros((3, 2, 2), np.float32)
    logits[1] = 1e6
    certainty = measure(logits)
    assert (certainty.confidence == 1).all()
    assert certainty.mean_entropy == 0


def test_a_network_of_one_class_is_certain():
    certainty = measure(np.zeros((1, 2, 2), np.float32))
    assert (certainty.confidence == 1).all()
    assert certainty.mean_entropy == 0


def test_confidence_is_stretched_to_the_picture():
    full = stretched(np.full((4, 5), 0.5, np.float32), 40, 50)
    assert full.shape == (40, 50)
    assert (full == 128).all()
