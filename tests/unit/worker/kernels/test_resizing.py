"""The compiled way to a tensor gives what Pillow gives, to the last bit."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from segmentation.preprocessing import Preprocessing, normalised
from worker.kernels.resizing import TAPS, fits, network_input, weights

SAME = np.tile(np.arange(256, dtype=np.float32), (3, 1))  # a table that changes nothing


def by_pillow(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    bilinear = Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(picture).resize((width, height), bilinear, reducing_gap=1.0))


@settings(max_examples=150)
@given(
    st.integers(TAPS, 90),
    st.integers(TAPS, 90),
    st.integers(1, 150),
    st.integers(1, 150),
    st.sampled_from([256, 2]),
    st.integers(0, 9),
)
def test_values_are_pillows(  # what hypothesis chooses
    compiled: ctypes.CDLL, rows: int, columns: int, height: int, width: int, levels: int, seed: int
) -> None:
    assume(fits((rows, columns, 3), height, width))
    values = np.random.default_rng(seed).integers(0, levels, (rows, columns, 3), dtype=np.uint8)
    picture = values * np.uint8(255 // (levels - 1))
    scaled = network_input(compiled, picture, (height, width), SAME)
    np.testing.assert_array_equal(scaled, by_pillow(picture, height, width).transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(304, 608), (512, 1024), (512, 700), (300, 1024), (300, 901), (700, 1999)])
def test_a_large_picture_is_scaled_alike(compiled: ctypes.CDLL, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (512, 1024, 3), dtype=np.uint8)
    assert fits(picture.shape, *size)
    scaled = network_input(compiled, picture, size, SAME)
    np.testing.assert_array_equal(scaled, by_pillow(picture, *size).transpose(2, 0, 1))


def test_each_channel_goes_through_its_table(compiled: ctypes.CDLL) -> None:
    preprocessing = Preprocessing(long_side=96)
    picture = np.random.default_rng(1).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    every = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)
    tables = normalised(every, mean=preprocessing.mean, std=preprocessing.std).reshape(3, 256)
    tensor = network_input(compiled, picture, (64, 96), tables)
    assert tensor.dtype == np.float32
    np.testing.assert_array_equal(tensor, preprocessing.apply(picture))


def test_part_of_a_picture_will_do(compiled: ctypes.CDLL) -> None:
    part = np.random.default_rng(1).integers(0, 256, (90, 130, 3), dtype=np.uint8)[3:67, 5:101]
    scaled = network_input(compiled, part, (48, 72), SAME)
    np.testing.assert_array_equal(scaled, by_pillow(part.copy(), 48, 72).transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((4, 90, 3), (8, 90)),  # fewer rows than count for one
        ((90, 4, 3), (90, 8)),
        ((128, 128, 3), (64, 80)),  # Pillow averages first
        ((128, 128, 3), (80, 64)),
        ((100, 100, 3), (80, 120)),  # Pillow may begin with the rows
        ((100, 100, 3), (60, 80)),
    ],
)
def test_what_pillow_does_otherwise_is_left_to_it(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    assert not fits(shape, *size)


@pytest.mark.parametrize(("source", "target"), [(1024, 608), (512, 480), (5, 9), (300, 151), (7, 100)])
def test_weights_of_a_pixel_sum_to_one_and_lie_within_the_picture(source: int, target: int) -> None:
    found = weights(source, target)
    assert found is not None
    first, shares = found[:, 0], found[:, 1:]
    assert (shares >= 0).all()
    assert np.abs(shares.sum(axis=1) - 2**22).max() <= TAPS
    assert first.min() >= 0
    assert (first[:, None] + np.arange(TAPS))[shares > 0].max() < source
    assert weights(source, source) is None


@pytest.mark.parametrize("shape", [(90, 130, 4), (4, 130, 3)])
def test_another_picture_is_refused(compiled: ctypes.CDLL, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not become"):
        network_input(compiled, np.zeros(shape, np.uint8), (80, 120), SAME)
