"""What pictures and figures show, in words that come from their numbers."""

from __future__ import annotations

from dashboard.parts import words
from dashboard.screens.jobs import STATUSES
from jobs.job import JobStatus

ROW = {
    "name": "a.jpg",
    "width": 20,
    "height": 10,
    "metrics": {"class_fractions": {"sky": 0.25, "road": 0.75, "car": 0.0}, "mean_confidence": 0.9},
}
COUNTS = {"total": 10, "queued": 4, "running": 2, "succeeded": 3, "failed": 1, "canceled": 0}


def test_jobs_may_be_listed_by_every_status() -> None:
    assert ["any", *JobStatus] == STATUSES


def test_an_image_is_told_by_its_classes_and_confidence() -> None:
    assert words.image_alt(ROW) == "a.jpg; 20 × 10 pixels; it shows road 75 %, sky 25 %; mean confidence 90 %."


def test_classes_that_a_compared_model_cannot_give_are_told() -> None:
    models = [{"model": "a", "metrics": {"impossible_classes": ["wall", "bus"]}}, {"model": "b", "metrics": {}}]
    told = words.left_out(models)
    assert told is not None
    assert told.startswith("a has no way to give wall, bus: a model's means are without them")
    assert words.left_out(models[1:]) is None
    truths = [{"model": "b", "metrics": {"ground_truth": {"unmarked_classes": ["bus"]}}}]
    assert str(words.left_out(truths)).startswith("the masks have no way to show bus: a model's means are without them")


def test_who_is_better_is_told_and_whether_that_may_be_chance() -> None:
    def pair(difference: float | None, beyond: bool | None) -> dict[str, object]:
        return {"models": ["a", "b"], "ground_truth": {"miou_difference": difference, "beyond_chance": beyond}}

    assert words.scores_reading([pair(0.031, True)]) == "a scores 3.1 points of mIoU above b, which is beyond chance."
    assert words.scores_reading([pair(-0.02, False)]) == "b scores 2.0 points of mIoU above a, which may be chance."
    assert words.scores_reading([pair(0.02, None)]) == "a scores 2.0 points of mIoU above b."
    assert words.scores_reading([pair(0.0, False)]) == "a and b have the same mIoU."
    untrue: dict[str, object] = {"models": ["a", "b"], "ground_truth": None}
    assert words.scores_reading([pair(None, None), untrue]).startswith("Without ground truth")


def test_bars_by_class_are_read_by_who_leads_and_where_they_differ() -> None:
    rows: list[tuple[str, list[float | None]]] = [
        ("sky", [0.9, 0.8]),
        ("road", [0.5, 0.9]),
        ("car", [0.5, 0.4]),
        ("bus", [None, 0.4]),
    ]
    assert words.classes_reading("IoU", ["a", "b"], [*rows, ("bus", [None, 0.4])]) == (
        "Highest IoU, of 3 classes: a in 2, b in 1. They lie farthest apart in road: 50.0 % (a) and 90.0 % (b)."
    )
    assert words.classes_reading("IoU", ["a", "b"], [("bus", [None, 0.4])]) == "IoU: no class is known of every model."


def test_an_image_without_a_result_is_told_by_its_name() -> None:
    assert words.image_alt({"name": "a.jpg", "width": None, "metrics": None}) == "a.jpg."


def test_a_jobs_progress_is_told_with_rate_and_rest() -> None:
    state = {"status": "running", "images": COUNTS, "images_per_second": 2.0, "eta_seconds": 3.0, "queue_position": 0}
    told = words.progress({**state, "waiting_for": None})
    assert told == "running: 4 of 10 images, 1 failed, 2.0 images per second, about 3 s left"
    waiting = {"status": "queued", "images": {**COUNTS, "failed": 0}, "queue_position": 2}
    assert words.progress(waiting) == "queued: 3 of 10 images, 2 jobs before it"


def test_what_is_no_picture_is_told() -> None:
    assert words.passed_over({}) is None
    told = words.passed_over({"skipped": {"count": 2, "examples": ["inner.zip", "notes.txt"]}})
    assert told == "2 files were passed over (no pictures, or masks that are not needed): inner.zip, notes.txt"


def test_times_are_told_in_the_unit_that_fits() -> None:
    assert [words.seconds(each) for each in (None, 5, 600, 7200)] == ["unknown", "5 s", "10 min", "2.0 h"]
    assert [words.milliseconds(each) for each in (None, 41.7)] == ["–", "42 ms"]


def test_a_figure_is_told_by_its_highest_and_lowest() -> None:
    told = words.extremes("mIoU", [("a", 70.0), ("b", 50.0)], " %")
    assert told == "mIoU of 2: the highest is a with 70 %, the lowest b with 50 %."


def test_one_image_is_no_images() -> None:
    images = {"total": 1, "succeeded": 1, "failed": 0, "canceled": 0}
    assert words.progress({"status": "queued", "images": images, "queue_position": 1}) == (
        "queued: 1 of 1 image, 1 job before it"
    )
    assert words.counted(2, "class", "classes") == "2 classes"
