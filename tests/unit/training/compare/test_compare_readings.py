"""The sentences of a comparison are true: each is checked against the numbers it was made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.comparing.pages.parts import leaders
from jobs.comparing.pages.wording import listed, percent, signed
from jobs.comparing.sections import OTHER_CLASSES
from segmentation.measures.bootstrap import Interval
from tests.tiny_comparison import SPACE, blind, flags, part_of, right, subject, swapped
from training.compare import Choices, Comparison, examine, readings, tables
from training.compare.measuring import with_latencies, with_learnt
from training.evaluate.evaluation import Latency
from training.evaluate.held_out import Overlap


def _compared(folder: Path, *predicts, count: int = 8) -> Comparison:
    return examine([subject(f"m{n}", each) for n, each in enumerate(predicts)], flags(folder, count), choices=Choices())


def _timed(comparison: Comparison, *milliseconds: float) -> Comparison:
    latencies = [
        Latency(median_ms=each, p90_ms=each, images_per_s=1000 / each, engine="torch", size=(32, 64), threads=1)
        for each in milliseconds
    ]
    return with_latencies(comparison, latencies)


def test_a_lead_beyond_the_interval_is_called_better(tmp_path: Path) -> None:
    found = _compared(tmp_path, blind, right)
    (sentence,) = readings.differences(found)
    pair = found.pair(1, 0)
    assert pair.interval is not None
    ends = f"{signed(pair.interval.low)} to {signed(pair.interval.high)}"
    assert sentence == f"B is better than A by {pair.difference * 100:.1f} points of mIoU (95 % interval {ends})."


def test_a_lead_within_the_interval_is_no_difference(tmp_path: Path) -> None:
    found = _compared(tmp_path, blind, right)
    little = replace(found.pairs[0], difference=-0.0002, interval=Interval(-0.01, 0.01))
    (sentence,) = readings.differences(replace(found, pairs=(little,)))
    assert sentence.startswith("B scores less than 0.1 points of mIoU above A: no difference that 8 pictures can show")


def test_of_models_with_the_same_miou_none_leads(tmp_path: Path) -> None:
    found = _compared(tmp_path, blind, blind)
    highest, pair, *_ = readings.summary(found)
    assert highest == f"A, m0, and B, m1, have the highest mIoU: {percent(found.shared_mious[0])}."
    assert pair == "A and B have the same mIoU on 8 pictures."


def test_few_pictures_are_said_to_be_few(tmp_path: Path) -> None:
    (sentence,) = readings.differences(_compared(tmp_path, blind, right, count=3))
    assert "3 pictures cannot show a difference: at least 6 are needed" in sentence


def test_the_summary_names_leader_speed_weakness_and_disagreement(tmp_path: Path) -> None:
    found = _timed(_compared(tmp_path, blind, right), 10, 25)
    told = " ".join(readings.summary(found))
    assert "B, m1, has the highest mIoU: 100.0 %" in told
    assert "A is the fastest, with 10 ms for a picture; B takes 2.5 times as long, 25 ms." in told
    assert "A is weakest on pole: IoU 0.0 %." in told
    assert f"do not agree on {percent(found.disagreement)}" in told


def test_means_over_other_classes_are_not_ranked(tmp_path: Path) -> None:
    """`coarse` errs wherever `blind` does, and its mean is higher: it has no class for the poles that both miss."""
    coarse = subject("coarse", **part_of(blind, 0, 1, name="houses"))
    subjects = [coarse, subject("right", right)]
    found = examine(subjects, flags(tmp_path, 8), choices=Choices(space=SPACE))
    told = readings.summary(found)
    assert told[0] == OTHER_CLASSES
    assert told[1] == "Over the classes that all can give B, right, has the highest mIoU: 100.0 %."
    assert not any("highest mIoU" in sentence for sentence in readings.scores(found))
    assert not any("weakest on pole" in sentence for sentence in told)
    assert not any(cell.best for row in tables.scores(found).rows for cell in row.cells[:2])
    assert any(cell.best for row in tables.scores(found).rows for cell in row.cells[2:])
    assert OTHER_CLASSES not in readings.summary(_compared(tmp_path, blind, right))


def test_latencies_that_are_close_are_called_alike(tmp_path: Path) -> None:
    assert "about equally fast" in " ".join(readings.cost(_timed(_compared(tmp_path, blind, right), 10, 10.5)))


def _in_rounds(found: Comparison, *rounds_ms: tuple[float, ...]) -> Comparison:
    latencies = [
        replace(latency, rounds_ms=rounds)
        for latency, rounds in zip((entry.latency for entry in found.entries), rounds_ms, strict=True)
        if latency is not None
    ]
    return with_latencies(found, latencies)


def test_latencies_that_scatter_say_nothing(tmp_path: Path) -> None:
    """One cold round of 250 ms makes a median of nothing, and no model 24.7 times as slow."""
    found = _timed(_compared(tmp_path, blind, right), 10, 25)
    told = " ".join(readings.cost(_in_rounds(found, (10.0, 10.0, 30.0), (25.0, 9.0, 250.0))))
    assert "Which of A and B is faster was not to be measured here: 10 ms and 25 ms" in told
    assert "from round to round B took 0.9 times to 8.3 times as long" in told


def test_latencies_that_scatter_less_than_they_differ_are_told_as_a_range(tmp_path: Path) -> None:
    found = _timed(_compared(tmp_path, blind, right), 10, 25)
    told = " ".join(readings.cost(_in_rounds(found, (10.0, 10.0, 10.0), (20.0, 25.0, 40.0))))
    assert "A is the fastest, with 10 ms for a picture; B takes 2.0 times to 4.0 times as long, 25 ms." in told


def test_a_pause_in_one_round_changes_nothing(tmp_path: Path) -> None:
    found = _timed(_compared(tmp_path, blind, right), 10, 25)
    told = " ".join(readings.cost(_in_rounds(found, (10.0,) * 8, (25.0,) * 7 + (900.0,))))
    assert "B takes 2.5 times as long, 25 ms." in told


def test_a_model_that_learnt_from_the_pictures_is_told_of(tmp_path: Path) -> None:
    found = with_learnt(
        _compared(tmp_path, blind, right), [Overlap(3, "m0 learnt from 3 of these 8 pictures"), Overlap(0)]
    )
    assert "A: m0 learnt from 3 of these 8 pictures." in readings.summary(found)
    assert [each["learnt_pictures"] for each in found.to_dict()["models"]] == [3, 0]


def test_a_slower_and_worse_model_is_told_of(tmp_path: Path) -> None:
    told = readings.cost(_timed(_compared(tmp_path, blind, right), 20, 10))
    assert "A scores lower than B and is not faster." in told


def test_a_trade_between_speed_and_score_is_told_of(tmp_path: Path) -> None:
    told = " ".join(readings.cost(_timed(_compared(tmp_path, blind, right), 10, 20)))
    assert "None is both slower and worse than another" in told


def test_classes_are_told_apart_by_their_own_intervals(tmp_path: Path) -> None:
    told = " ".join(readings.classes(_compared(tmp_path, blind, right)))
    assert "is better than A on building and pole, beyond chance." in told
    assert "On sky these pictures show no difference" in told
    assert "Not in these pictures: road, " in told


def test_the_most_frequent_confusions_are_shares_of_the_true_class(tmp_path: Path) -> None:
    found = _compared(tmp_path, right, swapped)
    assert readings.confusion(found, 0) == ["A makes no error on these pictures."]
    (sentence,) = readings.confusion(found, 1)
    assert "100.0 % of building is called pole" in sentence
    assert "100.0 % of pole is called building" in sentence


def test_calibration_compares_confidence_with_accuracy(tmp_path: Path) -> None:
    told = readings.calibration(_compared(tmp_path, right, swapped))
    assert told[0].startswith("A is not sure enough")
    assert told[1].startswith("B is too sure")


def test_training_tells_the_best_epoch_and_who_has_no_curves(tmp_path: Path) -> None:
    subjects = [subject("run", right), subject("bundle", blind, history=())]
    told = readings.training(examine(subjects, flags(tmp_path, 1), choices=Choices()))
    assert told[0] == "A reached its highest mIoU in training, 30.0 %, at epoch 3, the last one."
    assert "No training curves are at hand for B" in told[1]


def test_pictures_without_any_label_say_so(tmp_path: Path) -> None:
    pictures = flags(tmp_path, 1)
    found = examine([subject("a", right), subject("b", blind)], _unlabelled(pictures), choices=Choices())
    assert readings.summary(found) == ["No pixel of these pictures has a known class: nothing can be compared."]


def _unlabelled(pictures):
    import numpy as np
    from PIL import Image

    for _, mask in pictures.pairs:
        Image.fromarray(np.full((32, 64), 11, dtype=np.uint8)).save(mask)
    return pictures


@pytest.mark.parametrize(("values", "lowest", "best"), [([0.1, 0.3], False, [1]), ([0.1, 0.3], True, [0])])
def test_the_best_value_is_the_highest_or_the_lowest(values: list[float], lowest: bool, best: list[int]) -> None:
    assert leaders(values, lowest=lowest) == best


def test_values_that_print_alike_are_best_together() -> None:
    assert leaders([0.50001, 0.49999, float("nan")], lowest=False) == [0, 1]


def test_names_are_listed_as_in_a_sentence() -> None:
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
