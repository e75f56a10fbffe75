"""How far predictions agree: counted by hand, and against plain counting on random maps."""

import math
from itertools import combinations

import numpy as np
import pytest

from segmentation.errors import MaskMismatch
from segmentation.label_map import LabelMap
from segmentation.label_space import LabelClass, LabelSpace
from segmentation.label_spaces import LabelSpaces
from segmentation.measures.agreement import (
    Agreement,
    RightCounts,
    agree,
    disagreement_map,
    error_map,
    pair_ious,
    pair_miou,
    pixel_share,
)

CAMVID, EIGHT = (LabelSpaces().get(name) for name in ("camvid-11", "cityscapes-8"))
VOID = 11
BLACK_AND_WHITE = LabelSpace(
    "two values", (LabelClass(0, "black", (0, 0, 0), "all"), LabelClass(255, "white", (255, 255, 255), "all"))
)


def label_map(*rows, space=CAMVID, confidence=None):
    sure = None if confidence is None else np.array(confidence, np.uint8)
    return LabelMap(np.array(rows, np.uint8), space, sure)


def test_two_models_agree_on_the_pixels_for_which_both_say_the_same():
    found = agree([label_map([0, 0, 1, 2]), label_map([0, 1, 1, 1])])
    (pair,) = found.pairs
    assert (pixel_share(pair), found.disagreement, found.accord) == (0.5, 0.5, 0.5)
    ious = pair_ious(found, 0)
    assert ious[:3].tolist() == [0.5, pytest.approx(1 / 3), 0]
    assert np.isnan(ious[3:]).all()
    assert pair_miou(found, 0) == pytest.approx((0.5 + 1 / 3) / 3)


def test_a_class_that_neither_says_is_in_no_mean():
    assert pair_miou(agree([label_map([3, 3]), label_map([3, 3])]), 0) == 1


def test_pixels_for_which_no_model_says_a_class_count_nowhere():
    found = agree([label_map([0, VOID, VOID, 255]), label_map([0, VOID, 1, VOID])])
    assert (found.known, found.pairs[0].known) == (2, 2)
    assert (pixel_share(found.pairs[0]), found.disagreement) == (0.5, 0.5)


def test_what_counts_nowhere_altogether_is_no_disagreement():
    found = agree([label_map([VOID, VOID]), label_map([VOID, 255])])
    assert (found.known, found.disagreement) == (0, 0)
    assert math.isnan(pixel_share(found.pairs[0]))
    assert math.isnan(pair_miou(found, 0))


def test_a_void_class_among_the_others_counts_nowhere():
    found = agree([label_map([0, 1], space=EIGHT), label_map([0, 2], space=EIGHT)])
    assert (found.known, found.said[0][0], found.disagreement) == (1, 0, 1)


def test_who_is_right_is_told_where_the_truth_is_known():
    truth = label_map([0, 0, 1, 1, VOID])
    found = agree([label_map([0, 0, 1, 2, 3]), label_map([0, 1, 2, 2, 4])], truth)
    right = found.pairs[0].right
    assert right is not None
    assert (right.both[0], right.first[0], right.first[1], right.neither[1]) == (1, 1, 1, 1)
    assert sum(map(sum, (right.both, right.first, right.second, right.neither))) == found.truth == 4


def test_of_three_models_one_that_differs_counts_less_than_three_that_do():
    one, all_differ = agree([label_map([0]), label_map([0]), label_map([1])]), agree([label_map([n]) for n in range(3)])
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)) / math.log(3)
    assert one.disagreement == pytest.approx(entropy)
    assert all_differ.disagreement == pytest.approx(1)


@pytest.mark.parametrize("models", [2, 3, 5])
def test_sums_over_pictures_are_what_one_picture_of_all_would_give(models):
    numbers = np.random.default_rng(models)
    rows = [numbers.integers(0, 13, (4, 60), np.uint8) for _ in range(models)]
    truth = numbers.integers(0, 13, (4, 60), np.uint8)
    whole = agree([label_map(*row) for row in rows], label_map(*truth))
    parts = [
        agree([label_map(*row[:, part]) for row in rows], label_map(*truth[:, part]))
        for part in (slice(0, 25), slice(25, 60))
    ]
    assert parts[0].plus(parts[1]) == whole
    assert Agreement.from_dict(whole.to_dict()) == whole
    for number, (one, other) in enumerate(combinations(rows, 2)):
        known = (one < VOID) | (other < VOID)
        assert whole.pairs[number].known == known.sum()
        assert sum(whole.pairs[number].same) == ((one == other) & (one < VOID)).sum()


def test_pictures_without_truth_add_nothing_to_who_is_right():
    with_truth = agree([label_map([0]), label_map([1])], label_map([1]))
    without = agree([label_map([0]), label_map([1])])
    for both in (with_truth.plus(without), without.plus(with_truth)):
        assert both.pairs[0].right == with_truth.pairs[0].right
        assert (both.known, both.truth) == (2, 1)
    assert without.plus(without).pairs[0].right is None
    assert Agreement.from_dict(without.to_dict()) == without


def test_two_that_are_sure_of_different_things_differ_most():
    first = label_map([0, 0, 0, 0], confidence=[[200, 200, 0, 9]])
    second = label_map([0, 1, 1, 1], confidence=[[200, 100, 90, 255]])
    assert disagreement_map([first, second]).tolist() == [[0, 100, 1, 9]]
    assert disagreement_map([first, label_map([1, 0, 1, 0])]).tolist() == [[255, 0, 255, 0]]


def test_three_and_more_differ_by_the_entropy_of_their_votes():
    maps = [label_map([0, 0, 0]), label_map([0, 0, 1]), label_map([0, 1, 2])]
    assert disagreement_map(maps).tolist() == [[0, 148, 255]]


@pytest.mark.parametrize("models", range(3, 9))
def test_the_map_shows_the_entropy_of_every_way_to_split(models):
    said = np.random.default_rng(models).integers(0, models, (models, 500), np.uint8)
    found = disagreement_map([label_map(each) for each in said])[0]
    for pixel, level in zip(said.T.tolist(), found.tolist(), strict=True):
        shares = [pixel.count(each) / models for each in set(pixel)]
        entropy = -sum(share * math.log(share) for share in shares) / math.log(models)
        assert level == pytest.approx(entropy * 255, abs=0.501)


def test_more_models_than_a_byte_tells_apart_are_refused():
    with pytest.raises(MaskMismatch, match="20 models are too many"):
        disagreement_map([label_map([number % 2]) for number in range(20)])


@pytest.mark.parametrize(
    "maps",
    [
        [label_map([0])],
        [label_map([0]), label_map([0, 1])],
        [label_map([0]), label_map([0], space=EIGHT)],
    ],
)
def test_what_cannot_be_compared_is_refused(maps):
    with pytest.raises(MaskMismatch):
        agree(maps)


def test_errors_are_where_the_truth_is_known_and_another():
    assert error_map(label_map([0, 1, VOID, 2]), label_map([0, 0, 1, VOID])).tolist() == [[0, 255, 255, 0]]


@pytest.mark.parametrize("models", [2, 3, 5])
@pytest.mark.parametrize(
    "space", [CAMVID, LabelSpaces().get("cityscapes-34"), BLACK_AND_WHITE], ids=lambda each: each.name
)
def test_every_count_is_that_of_looking_at_each_pixel(space, models):
    """Of 34 classes and five models there are more ways to part than are counted at once."""
    rng = np.random.default_rng(models)
    ids = np.array(sorted({*space.by_id, space.void_id}), np.uint8)
    maps = [LabelMap(rng.choice(ids, (20, 30)), space) for _ in range(models)]
    truth = LabelMap(rng.choice(ids, (20, 30)), space)
    counted = [each for each in space.class_ids if each not in space.void_ids]

    def by_class(chosen, of):
        return tuple(
            int((chosen & (of.ids == each)).sum()) if each in counted else 0 for each in range(space.class_count)
        )

    known = np.array([np.isin(each.ids, counted) for each in maps])
    says = np.array([np.where(np.isin(each.ids, counted), each.ids.astype(int), -1) for each in maps])
    found = agree(maps, truth)
    some = known.any(axis=0)
    votes = (says[:, None] == says[None]).sum(axis=1)[:, some]
    assert found.votes == tuple(int((votes == number).sum()) for number in range(1, models + 1))
    assert (found.known, found.truth) == (int(some.sum()), int(np.isin(truth.ids, counted).sum()))
    for pair, (one, other) in zip(found.pairs, combinations(range(models), 2), strict=True):
        same, right = says[one] == says[other], [each.ids == truth.ids for each in (maps[one], maps[other])]
        assert (pair.known, pair.same) == (int((known[one] | known[other]).sum()), by_class(same, maps[one]))
        assert pair.right == RightCounts(
            both=by_class(right[0] & right[1], truth),
            first=by_class(right[0] & ~right[1], truth),
            second=by_class(right[1] & ~right[0], truth),
            neither=by_class(~right[0] & ~right[1], truth),
        )
