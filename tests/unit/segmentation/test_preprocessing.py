"""From a picture to a network's input."""

from typing import Any

import numpy as np
import pytest

from segmentation.errors import InvalidModelCard
from segmentation.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

FIT = Preprocessing(long_side=1024)
EXACT = Preprocessing(resize="exact", height=64, width=96)


@pytest.mark.parametrize(
    ("picture", "network"),
    [
        ((1024, 2048), (512, 1024)),
        ((360, 480), (768, 1024)),
        ((480, 360), (1024, 768)),
        ((1000, 3000), (352, 1024)),
        ((1, 1), (1024, 1024)),
        ((1, 5000), (32, 1024)),
    ],
)
def test_fit_keeps_the_proportions_up_to_rounding(picture: tuple[int, int], network: tuple[int, int]) -> None:
    assert FIT.input_size(*picture) == network


def test_exact_always_gives_the_same_size() -> None:
    assert EXACT.input_size(7, 5000) == (64, 96)
    assert EXACT.apply(np.zeros((7, 50, 3), np.uint8)).shape == (3, 64, 96)


def test_the_input_is_normalised_channels_first_and_contiguous() -> None:
    tensor = EXACT.apply(np.full((64, 96, 3), (0, 128, 255), dtype=np.uint8))
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    expected = (np.array([0, 128, 255]) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    assert tensor[:, 5, 7] == pytest.approx(expected, abs=1e-5)
    assert np.ptp(tensor, axis=(1, 2)).tolist() == [0, 0, 0]


def test_a_picture_of_the_right_size_is_not_filtered() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    tensor = EXACT.apply(rgb)
    back = tensor.transpose(1, 2, 0) * IMAGENET_STD + IMAGENET_MEAN
    assert np.array_equal((back * 255).round().astype(np.uint8), rgb)


def test_shrinking_takes_every_pixel_into_account() -> None:
    chequered = np.zeros((128, 192, 3), np.uint8)
    chequered[::2, ::2] = chequered[1::2, 1::2] = 254
    plain = EXACT.apply(np.full((64, 96, 3), 127, dtype=np.uint8))
    assert EXACT.apply(chequered) == pytest.approx(plain)


def test_a_view_of_a_picture_gives_the_same_as_its_copy() -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (90, 120, 3)).astype(np.uint8)[::-1, ::2]
    assert np.array_equal(FIT.apply(rgb), FIT.apply(rgb.copy()))


@pytest.mark.parametrize("preprocessing", [FIT, EXACT, Preprocessing(long_side=99, multiple_of=9, mean=(0, 0, 0))])
def test_it_survives_being_written_and_read(preprocessing: Preprocessing) -> None:
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"resize": "stretch"}, "resize"),
        ({"resize": None}, "resize"),
        ({"long_side": None}, "long_side"),
        ({"long_side": 1000}, "long_side"),
        ({"long_side": 0}, "long_side"),
        ({"long_side": "1024"}, "long_side"),
        ({"long_side": True}, "long_side"),
        ({"height": 64}, "height"),
        ({"multiple_of": 0}, "multiple_of"),
        ({"multiple_of": None}, "multiple_of"),
        ({"mean": [0.5, 0.5]}, "mean"),
        ({"mean": [0.5, 0.5, "x"]}, "mean"),
        ({"std": [0.5, 0.5, 0]}, "std"),
        ({"std": None}, "std"),
        ({"resize": "exact", "long_side": None}, "height"),
        ({"resize": "exact", "long_side": None, "height": 64}, "width"),
        ({"resize": "exact", "height": 64, "width": 64}, "long_side"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidModelCard) as caught:
        Preprocessing.from_dict({**FIT.to_dict(), **change})
    assert caught.value.field == f"preprocessing.{field}"


@pytest.mark.parametrize("value", [None, [], {**FIT.to_dict(), "crop": 1}])
def test_something_else_than_its_fields_is_refused(value: object) -> None:
    with pytest.raises(InvalidModelCard, match="model card: preprocessing must be"):
        Preprocessing.from_dict(value)


def test_a_side_beyond_any_memory_is_refused():
    with pytest.raises(InvalidModelCard, match=r"preprocessing.long_side must be at most 16384, got 32000000"):
        Preprocessing(long_side=32_000_000)
