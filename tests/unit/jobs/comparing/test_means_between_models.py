"""Means between two models: over the classes that both can give, unless the job is of before that rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jobs.comparing.document import comparison_document
from jobs.comparing.sections import pairs
from jobs.comparing.table import ComparisonTable
from jobs.job import Comparison, Job, JobImage, JobTotals
from jobs.spaces import JobSpaces
from segmentation.label_map import LabelMap
from segmentation.label_spaces import get_label_space
from segmentation.measures.agreement import agree
from tests.factories import make_card, make_image, make_job, make_result

SPACE = get_label_space("cityscapes-19")
ROAD, WALL, SKY = 0, 3, 10


def compared(*, leaves_out: bool) -> tuple[Job, JobImage]:
    """By one model in camvid-11, which knows no wall, and one that does: of four pixels they agree on three."""
    told = [[ROAD, ROAD, SKY, ROAD], [ROAD, ROAD, SKY, WALL]]
    agreement = agree([LabelMap(np.array([ids], np.uint8), SPACE) for ids in told])
    spaces = JobSpaces(("camvid-11", "cityscapes-19"), leaves_out=leaves_out)
    job = make_job(1, models=("tiny", "other"), totals=(JobTotals(),) * 2, label_space=SPACE.name, spaces=spaces)
    image = make_image(results=(make_result(),) * 2, comparison=Comparison(agreement=agreement))
    return replace(job, agreement=agreement), image


@pytest.mark.parametrize(("leaves_out", "miou"), [(True, (2 / 3 + 1) / 2), (False, (2 / 3 + 1 + 0) / 3)])
def test_a_class_that_one_model_cannot_give_counts_in_no_mean(leaves_out: bool, miou: float) -> None:
    job, image = compared(leaves_out=leaves_out)
    document = comparison_document(job, [image], None)
    (pair,) = document["pairs"]
    assert (pair["agreement"], pair["miou"]) == (0.75, pytest.approx(miou))
    assert pair["iou"] == {"road": pytest.approx(2 / 3), "wall": 0.0, "sky": 1.0}
    assert document["most_contested"][0]["pairs"][0]["miou"] == pytest.approx(miou)
    assert float(ComparisonTable(job).line(image).decode().split(",")[5]) == pytest.approx(miou)
    assert ("wall" in pair.get("without_classes", ())) == leaves_out
    assert ("wall" in pairs(document).rows[0].cells[1].note) == leaves_out


def test_jobs_from_now_on_keep_that_their_means_leave_out(service) -> None:
    service.catalog.cards = [make_card("tiny"), make_card("other", label_space="cityscapes-19")]
    job = service.submit(models=("tiny", "other"), label_space="cityscapes-19")
    assert service.reading.job(job.id).spaces.leaves_out
    assert not service.submit(label_space="cityscapes-19").spaces.leaves_out
