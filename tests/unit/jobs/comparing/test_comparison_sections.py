"""What the page of a job's comparison says in numbers and sentences."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.comparing import sections
from jobs.comparing.pages.tiles import Name, Picture, Tile


def document(*, miou: float | None = None, **truth: Any) -> dict[str, Any]:
    scores = [None, None] if miou is None else [miou, 0.5]
    models = [
        {"model": name, "metrics": {"ground_truth": score and {"miou": score}}, "miou_interval": None}
        for name, score in zip(("<a>", "b"), scores, strict=True)
    ]
    pair = {"models": ["<a>", "b"], "agreement": 0.5, "miou": 0.25, "ground_truth": truth or None}
    images = {"total": 3, "compared": 2, "with_truth": 0 if miou is None else 2}
    classes = [{"id": 0, "name": "road", "models": [{"fraction": 0.5, "iou": 0.25}, {"fraction": 0.5, "iou": None}]}]
    shares = {"images": images, "disagreement": 0.5, "label_space": "camvid-11"}
    return {**shares, "models": models, "pairs": [pair], "classes": classes}


def test_without_a_truth_nobody_leads() -> None:
    assert sections.summary(document()) == ["The models differ by 50.0 %."]
    assert [cell.said for cell in sections.scores(document()).rows[0].cells] == ["–", "–", "–", "–"]
    assert sections.classes(document()).head == ["class", "share A", "share B"]


def test_models_that_print_alike_lead_together() -> None:
    assert sections.summary(document(miou=0.50001))[0] == "A, <a>, and B, b, have the highest mIoU: 50.0 %."


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        (
            {"miou_difference": -0.02, "interval": [-0.05, 0.01], "beyond_chance": False},
            "b scores 2.0 points of mIoU above <a>, which may be chance (95 % interval −1.0 to +5.0).",
        ),
        (
            {"miou_difference": 0.02, "interval": [0.01, 0.03], "beyond_chance": True},
            "<a> is better than b by 2.0 points of mIoU (95 % interval +1.0 to +3.0).",
        ),
        (
            {"miou_difference": 0.0, "interval": [-0.01, 0.01], "beyond_chance": False},
            "<a> and b have the same mIoU.",
        ),
    ],
)
def test_a_lead_is_said_to_be_chance_or_not(truth: dict[str, Any], said: str) -> None:
    assert sections.summary(document(miou=0.7, **truth))[1] == said


def test_means_over_different_classes_have_no_leader() -> None:
    told = document(miou=0.9, miou_difference=-0.1, interval=[-0.15, -0.05], beyond_chance=True)
    told["models"][0]["metrics"]["impossible_classes"] = ["rider"]
    first, second, _ = sections.summary(told)
    assert first == sections.OTHER_CLASSES
    assert second.startswith("b is better than <a> by 10.0 points")
    assert not any(cell.best for row in sections.scores(told).rows for cell in row.cells[:2])
    for each in told["models"]:
        each["metrics"]["ground_truth"]["unmarked_classes"] = ["rider"]  # then none of the means has it
    assert sections.summary(told)[0].startswith("A, <a>, has the highest mIoU")


def test_a_difference_of_too_few_images_has_no_interval() -> None:
    told = document(miou=0.7, miou_difference=0.2, interval=None, beyond_chance=None)
    (row,) = sections.pairs(told).rows
    assert (row.cells[-1].said, row.cells[-1].note) == ("+20.0 points", "")
    assert len(sections.summary(told)) == 2


def test_names_become_text() -> None:
    told = document(miou=0.7)
    assert "<a>" not in sections.scores(told).html() + sections.pairs(told).html() + sections.top(told)


def test_the_names_of_classes_are_written_into_their_regions() -> None:
    tile = Tile(label="mask of a", caption="a", names=[Name("road & rail", 12, 30)])
    drawn = Picture(key="p1", name="a.jpg", why="most disputed", photo="", size=(64, 48), rows=[[tile]]).html()
    assert '<text class="class-name" x="12" y="30" dy="0.35em" text-anchor="middle">road &amp; rail</text>' in drawn
