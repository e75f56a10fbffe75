"""The page of one model: scores, classes, confusion, curves of a class, calibration and its worst pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobs.comparing.pages.wording import percent
from tests.tiny_comparison import SPACE, blind, flags, right, subject
from tests.unit.training.compare.test_compare_page import EVIL, LATENCY, Structure
from training.compare import Choices, Comparison, Grid, NothingToCompare, compare, examine_alone, show_alone
from training.datasets.pairs import About, PairDataset


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, str]:
    folder = tmp_path_factory.mktemp("alone")
    choices = Choices(grid=Grid(disputed=3, drawn=0))
    found = examine_alone(subject(EVIL, blind), flags(folder / "flags", 6), choices=choices)
    show_alone(found, folder / "new" / "page.html", latency=LATENCY)
    assert [path.name for path in (folder / "new").iterdir()] == ["page.html"]
    return found, (folder / "new" / "page.html").read_text("utf-8")


def test_it_is_well_formed_and_names_are_escaped(made: tuple[Comparison, str]) -> None:
    structure = Structure(made[1])
    ids = [attributes["id"] for _, attributes in structure.tags if "id" in attributes]
    assert structure.open == []
    assert len(ids) == len(set(ids))
    assert "<script>alert" not in made[1]


def test_it_has_every_part_and_nothing_of_a_comparison(made: tuple[Comparison, str]) -> None:
    parts = " ".join(re.findall(r'<h2 id="([a-z]+)">', made[1]))
    assert parts == "contents summary scores classes confusion pictures calibration ranking training method"
    for word in ("disagree", "comparison.json", "marked “best”", 'class="tag">best', "Differences of mIoU"):
        assert word not in made[1]


def test_every_class_has_a_roc_and_a_precision_recall_curve_with_its_area(made: tuple[Comparison, str]) -> None:
    found, page = made
    evaluation = found.entries[0].evaluation
    assert re.findall(r'data-choice="(\w+)"', page) == ["sky", "building", "pole"]
    for name in found.class_names:
        for kind, curve in (("ROC curve", evaluation.roc(name)), ("Precision-recall curve", evaluation.pr(name))):
            assert re.search(rf"<title [^>]*>{kind} of {name}</title><desc [^>]*>A: area {percent(curve.area)}<", page)


def test_a_comparison_draws_the_curves_of_all_models(tmp_path: Path) -> None:
    models = [subject("plain", right), subject("blind", blind)]
    compare(models, flags(tmp_path / "flags", 2), tmp_path / "page.html")
    assert re.search(
        r"ROC curve of pole</title><desc [^>]*>A: area [\d.]+ %\. B: area", (tmp_path / "page.html").read_text()
    )


def test_its_pictures_are_those_with_most_wrong_pixels(made: tuple[Comparison, str]) -> None:
    found, page = made
    wrong = [each.wrong[0] for each in found.shown]
    assert len(wrong) == 3
    assert wrong == sorted(wrong, reverse=True)
    assert 0 < found.disagreement <= wrong[0]
    assert f"Of {found.shown[0].name} {percent(wrong[0])} of the labelled pixels are wrong" in page


def test_the_readings_say_what_the_numbers_are(made: tuple[Comparison, str]) -> None:
    found, page = made
    entry = found.entries[0]
    assert f"has an mIoU of {percent(entry.miou)} (95 % interval" in page
    assert f"Its lowest IoU: pole {percent(entry.scores['iou/pole'])}" in page
    assert f"{percent(1.0)} of pole is called building" in page
    assert "One inference takes 12.5 ms in torch on cpu (median)." in page


def test_without_pictures_there_is_no_page() -> None:
    nothing = PairDataset([], space=SPACE, about=About(title="nothing", licence="none needed"))
    with pytest.raises(NothingToCompare, match="no picture"):
        examine_alone(subject("plain", right), nothing, choices=Choices())
