"""`comparison.csv`: of each image how far several models agree, and with ground truth who alone is right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from jobs.comparing.document import uncounted
from jobs.job import Job, JobImage
from jobs.reporting.reports import csv_line
from segmentation.measures.agreement import PairCounts, pair_miou, pixel_share
from segmentation.measures.metrics import known

COMPARISON_CSV = "comparison.csv"


class ComparisonTable:
    """One row per image that has succeeded. Of models A and B: `agreement:A|B` is the share of pixels for which both
    say the same, `miou:A|B` the mean IoU between them, `right_alone:A|B` the share of pixels of known truth for which A
    is right and B wrong."""

    def __init__(self, job: Job) -> None:
        self._pairs = list(combinations(job.models, 2))
        self._without = [uncounted(job, *pair) for pair in combinations(range(len(job.models)), 2)]
        self._with_truth = job.totals[0].confusion is not None

    def head(self) -> bytes:
        names = ["index", "name", "ref", "disagreement"]
        for one, other in self._pairs:
            names += [f"agreement:{one}|{other}", f"miou:{one}|{other}"]
            names += [f"right_alone:{one}|{other}", f"right_alone:{other}|{one}"] if self._with_truth else []
        return csv_line(names)

    def line(self, image: JobImage) -> bytes:
        """Empty for an image that has no line."""
        if image.comparison is None:
            return b""
        agreement = image.comparison.agreement
        row: list[object] = [image.index, image.name, image.ref, agreement.disagreement]
        for number, pair in enumerate(agreement.pairs):
            miou = pair_miou(agreement, number, without=self._without[number])
            row += [known(pixel_share(pair)), known(miou)]
            row += self._right(pair)
        return csv_line(row)

    def _right(self, pair: PairCounts) -> Sequence[float | None]:
        if not self._with_truth:
            return []
        right = pair.right
        pixels = 0 if right is None else sum(map(sum, (right.both, right.first, right.second, right.neither)))
        if right is None or not pixels:
            return [None, None]
        return [sum(right.first) / pixels, sum(right.second) / pixels]
