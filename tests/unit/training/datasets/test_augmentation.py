"""Augmentation varies a picture and keeps its mask aligned."""

import numpy as np
import pytest

from segmentation.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from training.datasets import camera
from training.datasets.augmentation import Augmentation, View, normalise, with_small_things

IGNORED = 255
VIEW = View(crop=(64, 96), scale=(0.5, 1.5))
GEOMETRY_ONLY = Augmentation(brightness=0, contrast=0, saturation=0, tint=0, blur=0)


def squares() -> tuple[np.ndarray, np.ndarray]:
    """A picture whose brightness is its mask's class times 50, in squares of 16 pixels."""
    rows, columns = np.indices((120, 160)) // 16
    mask = ((rows + columns) % 4).astype(np.uint8)
    return np.repeat((mask * 50)[:, :, None], 3, axis=2), mask


@pytest.mark.parametrize("seed", range(12))
def test_picture_and_mask_stay_aligned(seed):
    picture, mask = GEOMETRY_ONLY(*squares(), view=VIEW, ignore_id=IGNORED, rng=np.random.default_rng(seed))
    assert picture.shape == (64, 96, 3)
    assert mask.shape == (64, 96)
    seen = mask != IGNORED
    near = np.abs(picture[:, :, 0][seen] / 50 - mask[seen]) < 0.5
    assert near.mean() > 0.85  # the rest are pixels that an edge runs through


def test_what_lies_outside_the_picture_is_ignored():
    view = View(crop=(128, 128), scale=(0.5, 0.5))  # a window of 256×256 around 120×160
    _, mask = Augmentation(aspect=0)(*squares(), view=view, ignore_id=IGNORED, rng=np.random.default_rng(0))
    assert (mask == IGNORED).mean() == pytest.approx(1 - 120 * 160 / 256**2, abs=0.02)


def test_a_crop_of_less_than_a_pixel_is_a_pixel():
    picture, mask = Augmentation(aspect=0)(
        *squares(), view=View(crop=(32, 32), scale=(100, 100)), ignore_id=IGNORED, rng=np.random.default_rng(0)
    )
    assert picture.shape == (32, 32, 3)
    assert len(np.unique(mask)) == 1


def test_the_same_generator_gives_the_same_picture():
    first, second = (
        Augmentation()(*squares(), view=VIEW, ignore_id=IGNORED, rng=np.random.default_rng(7)) for _ in range(2)
    )
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_colours_change_and_the_mask_does_not():
    view = View(crop=(120, 160), scale=(1, 1))
    coloured = Augmentation(aspect=0, flip=0, blur=1)
    picture, mask = coloured(*squares(), view=view, ignore_id=IGNORED, rng=np.random.default_rng(3))
    assert not np.array_equal(picture, squares()[0])
    assert np.array_equal(mask, squares()[1])


def test_a_rare_crop_finds_the_one_pixel():
    picture = np.zeros((200, 200, 3), dtype=np.uint8)
    mask = np.zeros((200, 200), dtype=np.uint8)
    mask[150:154, 20:24] = 5
    view = View(crop=(32, 32), scale=(1, 1))
    rare = Augmentation(rare_crop=1, aspect=0)
    found = [
        5 in rare(picture, mask, view=view, ignore_id=IGNORED, rng=np.random.default_rng(seed))[1] for seed in range(40)
    ]
    assert 0.3 < np.mean(found) < 0.8  # every class present is sought as often


def test_normalising_rounds_as_it_always_did():
    """Bit for bit: a training that was begun years ago goes on with the same numbers."""
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    mean, std = (np.array(values, dtype=np.float32) for values in (IMAGENET_MEAN, IMAGENET_STD))
    expected = (levels.astype(np.float32) / np.float32(255) - mean) / std
    assert normalise(levels).tobytes() == expected.tobytes()


def test_a_served_picture_is_normalised_like_one_that_is_trained_on():
    picture = np.random.default_rng(3).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    served = Preprocessing(long_side=64).apply(picture)
    assert np.array_equal(served, normalise(picture).transpose(2, 0, 1))


def test_normalise_is_what_the_model_card_says():
    grey = normalise(np.full((2, 2, 3), 255, dtype=np.uint8))
    assert grey.dtype == np.float32
    assert grey[0, 0] == pytest.approx([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225])


@pytest.mark.parametrize("change", ["noise", "haze", "night", "jpeg"])
def test_weather_and_camera_change_the_picture_alone(change):
    view = View(crop=(120, 160), scale=(1, 1))
    still = dict.fromkeys(("aspect", "flip", "brightness", "contrast", "saturation", "tint", "blur"), 0)
    source, truth = squares()
    source[:, ::3] += 20  # finer than the blocks of a JPEG
    picture, mask = Augmentation(**still, **{change: 1})(
        source, truth, view=view, ignore_id=IGNORED, rng=np.random.default_rng(3)
    )
    assert not np.array_equal(picture, source)
    assert np.array_equal(mask, truth)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous


def test_a_response_curve_keeps_black_and_white_and_moves_what_lies_between():
    grey = np.repeat(np.array([[0, 128, 255]], dtype=np.uint8)[..., None], 3, axis=2)
    assert camera.with_gamma(grey, 2.0)[0, :, 0].tolist() == [0, 64, 255]


def test_haze_hides_the_far_more_than_the_near():
    black = np.zeros((100, 8, 3), dtype=np.uint8)
    hazy = camera.with_haze(black, np.random.default_rng(0)).mean(axis=(1, 2))
    assert hazy[0] > 2 * hazy[-1] > 0


def test_a_change_that_is_off_draws_no_number():
    """Else recipes from before would train on other pictures."""
    rng, other = np.random.default_rng(5), np.random.default_rng(5)
    picture = np.zeros((4, 4, 3), dtype=np.uint8)
    Augmentation()._filmed(picture, rng)
    assert rng.random() == other.random()


def test_small_things_are_pasted_with_their_mask_and_nothing_else():
    picture, mask = np.zeros((20, 20, 3), dtype=np.uint8), np.zeros((20, 20), dtype=np.uint8)
    donor_picture, donor_mask = np.full((20, 20, 3), 9, dtype=np.uint8), np.ones((20, 20), dtype=np.uint8)
    donor_mask[:, :1], donor_mask[0, 1:3] = 5, IGNORED  # a pole of a twentieth, and pixels of no class
    pasted, labels = with_small_things(picture, mask, (donor_picture, donor_mask), ignore_id=IGNORED)
    assert set(np.unique(labels)) == {0, 5}
    assert np.array_equal(pasted[..., 0] == 9, labels == 5)
    assert (labels == 5).sum() == 20
