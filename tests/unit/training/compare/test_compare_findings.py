"""What is counted when models are compared: scores, differences, which pictures are shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segmentation.errors import NoRemapping
from segmentation.label_spaces import get_label_space
from segmentation.measures.bootstrap import PictureCounts, Resampled
from tests.tiny_comparison import SPACE, blind, flags, part_of, right, subject, swapped
from training.compare import Choices, Grid, NothingToCompare, examine
from training.compare.measuring import numbered
from training.compare.readings import pair_sentence, summary, unnamed
from training.evaluate.scoring import evaluate


def _confusions(count: int, seed: int) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(1, 50, (count, 3, 4)))


def test_each_model_gets_the_scores_of_its_own_evaluation(tmp_path: Path) -> None:
    pictures = flags(tmp_path, 3)
    model = subject("blind", blind)
    found = examine([subject("right", right), model], pictures, choices=Choices())
    alone = evaluate(blind, pictures, preprocessing=model.preprocessing, space=SPACE)
    np.testing.assert_array_equal(found.entries[1].evaluation.confusion, alone.confusion)
    assert found.entries[1].scores == pytest.approx(alone.scores(), nan_ok=True)
    assert found.entries[0].miou == 1


def test_a_pair_holds_the_difference_of_both_scores_either_way_round(tmp_path: Path) -> None:
    found = examine([subject("a", right), subject("b", blind)], flags(tmp_path, 8), choices=Choices())
    pair, turned = found.pair(0, 1), found.pair(1, 0)
    assert pair.difference == pytest.approx(found.entries[0].miou - found.entries[1].miou)
    assert turned.difference == -pair.difference
    assert pair.shown
    assert turned.shown
    assert turned.interval is not None
    assert turned.interval.high < 0
    assert pair.classes["pole"][0] == 1


def test_models_that_say_the_same_do_not_differ(tmp_path: Path) -> None:
    found = examine([subject("a", blind), subject("b", blind)], flags(tmp_path, 8), choices=Choices())
    assert not found.pairs[0].shown
    assert found.disagreement == 0


def test_few_pictures_have_no_interval(tmp_path: Path) -> None:
    found = examine([subject("a", right), subject("b", blind)], flags(tmp_path, 5), choices=Choices())
    assert found.pairs[0].interval is None
    assert found.entries[0].interval is None
    assert not found.pairs[0].shown


def test_the_interval_is_that_of_drawing_pictures_anew() -> None:
    counts = [PictureCounts.of(_confusions(20, seed)) for seed in (1, 2)]
    resampled = Resampled.of(counts, seed=0)
    again = Resampled.of(counts, seed=0)
    assert resampled is not None
    assert again is not None
    interval = resampled.difference(0, 1)
    assert interval is not None
    assert interval == again.difference(0, 1)
    whole = [float(np.mean(each.ious(np.ones((1, 20))))) for each in counts]
    assert interval.holds(whole[0] - whole[1])
    turned = resampled.difference(1, 0)
    assert turned is not None
    assert (turned.low, turned.high) == pytest.approx((-interval.high, -interval.low))


def test_the_most_disputed_pictures_and_some_drawn_ones_are_shown_reduced(tmp_path: Path) -> None:
    pictures = flags(tmp_path, 9)
    grid = Grid(disputed=2, drawn=1, seed=4)
    found = examine([subject("a", right), subject("b", swapped)], pictures, choices=Choices(grid=grid))
    shares = [each.disagreement for each in found.shown]
    assert len(found.shown) == 3
    assert [each.drawn for each in found.shown].count(True) == 1
    assert shares == sorted(shares, reverse=True)
    everything = examine(
        [subject("a", right), subject("b", swapped)], pictures, choices=Choices(grid=Grid(disputed=9, drawn=0))
    )
    undrawn = [each for each in everything.shown if each.name not in {s.name for s in found.shown if s.drawn}]
    assert [each.name for each in found.shown if not each.drawn] == [each.name for each in undrawn[:2]]


def test_wrong_and_disputed_pixels_are_shares_of_the_labelled_ones(tmp_path: Path) -> None:
    pictures = flags(tmp_path, 1)
    found = examine(
        [subject("a", right), subject("b", blind)], pictures, choices=Choices(grid=Grid(disputed=1, drawn=0))
    )
    truth = pictures[0][1]
    (shown,) = found.shown
    assert shown.wrong[0] == 0
    assert shown.wrong[1] == shown.disagreement == pytest.approx((truth == 2).sum() / (truth != 11).sum())


def test_models_of_other_classes_are_counted_in_those_of_both(tmp_path: Path) -> None:
    coarse = subject("coarse", lambda image: right(image)[:7], space=get_label_space("cityscapes-8"))
    found = examine([subject("a", right), coarse], flags(tmp_path, 2), choices=Choices())
    assert found.space.name == "cityscapes-8"
    assert [entry.label_space for entry in found.entries] == ["camvid-11", "cityscapes-8"]


def test_a_class_that_a_model_cannot_say_is_named(tmp_path: Path) -> None:
    choices = Choices(space=get_label_space("cityscapes-34"))
    found = examine([subject("a", right), subject("b", blind)], flags(tmp_path, 2), choices=choices)
    assert "truck" in found.entries[0].unnamed
    assert "sky" not in found.entries[0].unnamed
    assert "its means leave these classes out" in unnamed(found)[0]


def test_a_class_that_a_model_cannot_say_is_left_out_of_its_means_and_intervals(tmp_path: Path) -> None:
    """`coarse` says what `blind` says, but has no word for a pole."""
    coarse = subject("coarse", **part_of(blind, 0, 1, name="houses"))
    choices = Choices(space=SPACE)
    found = examine([subject("blind", blind), coarse], flags(tmp_path, 8), choices=choices)
    scores = found.entries[1].scores
    assert scores["miou"] == pytest.approx((scores["iou/sky"] + scores["iou/building"]) / 2)
    assert scores["mean_dice"] == pytest.approx((scores["dice/sky"] + scores["dice/building"]) / 2)
    assert found.entries[0].miou == pytest.approx(scores["miou"] * 2 / 3)
    assert found.entries[1].interval is not None
    assert found.entries[1].interval.holds(scores["miou"])


def test_a_class_that_no_mask_can_show_is_left_out_of_means_intervals_and_differences(tmp_path: Path) -> None:
    """`right` says a pole where the masks, which know no pole, have a building."""
    pictures = flags(tmp_path, 8)
    pictures.space = replace(SPACE, name="houses", mappings={SPACE.name: {0: 0, 1: 1, 2: 1, 11: 11}})
    found = examine([subject("right", right), subject("blind", blind)], pictures, choices=Choices(space=SPACE))
    scores, (pair,) = found.entries[0].scores, found.pairs
    assert (scores["iou/pole"], found.unmarked) == (0, ("pole",))
    assert scores["miou"] == pytest.approx((scores["iou/sky"] + scores["iou/building"]) / 2)
    assert found.entries[0].interval is not None
    assert found.entries[0].interval.holds(scores["miou"])
    assert "pole" in pair.without
    assert pair.difference == pytest.approx(found.entries[0].miou - found.entries[1].miou)
    assert "The masks have no way to show pole" in " ".join(summary(found))
    first, second = found.entries
    assert replace(found, entries=(replace(first, without=first.left_out), second)).means_are_alike


def test_two_models_are_compared_over_the_classes_that_both_can_give(tmp_path: Path) -> None:
    coarse = subject("coarse", **part_of(blind, 0, 1, name="houses"))
    found = examine([subject("blind", blind), coarse], flags(tmp_path, 8), choices=Choices(space=SPACE))
    (pair,) = found.pairs
    assert pair.interval is not None
    assert (pair.difference, pair.interval.low, pair.interval.high, pair.shown) == (0, 0, 0, False)
    assert set(pair.classes) == {"sky", "building"}
    assert "pole" in found.to_dict()["pairs"][0]["without_classes"]
    assert found.pair(1, 0).without == pair.without


def test_models_without_a_class_in_common_differ_by_nothing_known(tmp_path: Path) -> None:
    parts = [subject(name, **part_of(right, *ids, name=name)) for name, ids in (("a", (0, 1)), ("b", (2, 3)))]
    found = examine(parts, flags(tmp_path, 8), choices=Choices(space=SPACE))
    assert found.to_dict()["pairs"][0]["miou_difference"] is None
    assert not found.pairs[0].shown
    assert pair_sentence(found, found.pairs[0]).startswith("A and B can give no class of these pictures alike")


def test_classes_without_a_way_to_each_other_are_refused(tmp_path: Path) -> None:
    pets = subject("pets", lambda image: right(image)[:3], space=get_label_space("oxford-pets-3"))
    with pytest.raises(NoRemapping, match="oxford-pets-3"):
        examine([subject("a", right), pets], flags(tmp_path, 1), choices=Choices())


@pytest.mark.parametrize("count", [0, 1, 27])
def test_so_many_models_cannot_be_compared(tmp_path: Path, count: int) -> None:
    with pytest.raises(NothingToCompare, match=f"got {count}"):
        examine([subject(str(n), right) for n in range(count)], flags(tmp_path, 1), choices=Choices())


def test_no_picture_is_nothing_to_compare_on(tmp_path: Path) -> None:
    with pytest.raises(NothingToCompare, match="no picture"):
        examine([subject("a", right), subject("b", right)], flags(tmp_path, 0), choices=Choices())


def test_models_of_one_name_are_numbered() -> None:
    assert numbered(["a", "b", "a"]) == ["a (1)", "b", "a (2)"]


def test_the_json_holds_the_scores_and_no_nan(tmp_path: Path) -> None:
    found = examine([subject("a", right), subject("b", blind)], flags(tmp_path, 7), choices=Choices())
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["models"][0]["scores"]["miou"] == 1
    assert content["models"][1]["scores"]["iou/car"] is None
    assert content["classes"] == ["sky", "building", "pole"]
    assert content["pairs"][0]["difference_shown"] is True
    assert [each["name"] for each in content["pictures"]] == [each.name for each in found.shown]


def test_of_models_that_nothing_judges_no_interval_is_known() -> None:
    nothing = PictureCounts.of([np.zeros((3, 4), int)] * 20)
    assert Resampled.of([nothing, nothing], seed=1) is None


def test_pictures_whose_truth_is_void_throughout_make_no_chance_smaller() -> None:
    void = [np.zeros((3, 4), int)]
    few = [PictureCounts.of(_confusions(5, seed) + void * 15) for seed in (1, 2)]
    assert Resampled.of(few, seed=0) is None
    some = Resampled.of([PictureCounts.of(_confusions(7, seed) + void * 3) for seed in (1, 2)], seed=0)
    alone = Resampled.of([PictureCounts.of(_confusions(7, seed)) for seed in (1, 2)], seed=0)
    assert some is not None
    assert alone is not None
    assert some.pictures == 7
    assert some.difference(0, 1) == alone.difference(0, 1)
    assert some.miou(0, without=(0, 1, 2)) is None


def test_a_class_in_one_picture_of_many_shows_no_difference() -> None:
    rare = np.diag([5, 5, 0, 0])[:3]
    wrong, correct = np.array([[5, 0, 0, 0], [0, 5, 0, 0], [9, 0, 0, 0]]), np.diag([5, 5, 9, 0])[:3]
    found = Resampled.of([PictureCounts.of([rare] * 19 + [last]) for last in (correct, wrong)], seed=0)
    assert found is not None
    assert found.class_difference(0, 1, 2) is None
    assert found.class_difference(0, 1, 1) is not None
