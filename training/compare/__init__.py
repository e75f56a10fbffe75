"""Two or more models on the same pictures, as one page for people and one file for programs.

`compare` tells the story; what it found is a `Comparison`, which other pages can show too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs.comparing.pages.shell import title_of
from segmentation.label_space import LabelSpace
from training.compare.figures.series import MOST_SERIES
from training.compare.findings import Comparison, Facts
from training.compare.machine import facts_of_here
from training.compare.measuring import (
    Grid,
    NothingToCompare,
    OnPicture,
    concluded,
    measured,
    with_latencies,
    with_learnt,
)
from training.compare.page import render, write
from training.datasets.pairs import PairDataset
from training.evaluate.evaluation import Latency
from training.evaluate.held_out import overlap
from training.evaluate.subjects import Subject
from training.runs import write_text
from training.spaces import common_space

__all__ = [
    "Choices",
    "Comparison",
    "Facts",
    "Grid",
    "NothingToCompare",
    "compare",
    "examine",
    "examine_alone",
    "show_alone",
]

MeasureLatencies = Callable[[Sequence[Subject]], Sequence[Latency]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """space: in which everything is counted; None: the one that models and data share. latency: None: nothing is timed.

    title: of the page; empty: made of the models' names. colour_blind_safe: of the masks; else their published colours.
    """

    split: str = "val"
    space: LabelSpace | None = None
    grid: Grid = field(default_factory=Grid)
    latency: MeasureLatencies | None = None
    title: str = ""
    colour_blind_safe: bool = True


def compare(
    subjects: Sequence[Subject],
    pictures: PairDataset,
    out: Path,
    *,
    choices: Choices | None = None,
    on_picture: OnPicture = lambda done: None,
) -> Comparison:
    """Write the page to `out` and comparison.json beside it. Raises what `examine` raises; then nothing is written."""
    choices = choices or Choices()
    found = examine(subjects, pictures, choices=choices, on_picture=on_picture)
    title = choices.title or title_of([entry.name for entry in found.entries])
    write(found, render(found, title=title, colour_blind_safe=choices.colour_blind_safe), out)
    return found


def examine(
    subjects: Sequence[Subject], pictures: PairDataset, *, choices: Choices, on_picture: OnPicture = lambda done: None
) -> Comparison:
    """Raises NothingToCompare; NoRemapping when models and data share no label space."""
    if len(subjects) < 2:
        raise NothingToCompare(f"two models or more can be compared, got {len(subjects)}")
    return _examined(subjects, pictures, choices=choices, on_picture=on_picture)


def examine_alone(
    subject: Subject, pictures: PairDataset, *, choices: Choices, on_picture: OnPicture = lambda done: None
) -> Comparison:
    """Of one model, whose worst pictures are kept. Raises what `examine` raises."""
    return _examined([subject], pictures, choices=choices, on_picture=on_picture)


def show_alone(found: Comparison, out: Path, *, latency: Latency | None) -> None:
    """Write the page of `examine_alone` to `out`."""
    found = with_latencies(found, [latency])
    title = f"{found.entries[0].name} on {found.facts.dataset}"
    write_text(out, render(found, title=title))


def _examined(
    subjects: Sequence[Subject], pictures: PairDataset, *, choices: Choices, on_picture: OnPicture
) -> Comparison:
    _check(subjects, pictures)
    space = choices.space or common_space([*(subject.space for subject in subjects), pictures.space])
    found = measured(subjects, pictures, space=space, grid=choices.grid, on_picture=on_picture)
    facts = facts_of_here(pictures, split=choices.split, seed=choices.grid.seed)
    comparison = concluded(subjects, found, space=space, facts=facts)
    comparison = with_learnt(comparison, [overlap(subject, pictures, split=choices.split) for subject in subjects])
    if choices.latency is None:
        return comparison
    return with_latencies(comparison, choices.latency(subjects))


def _check(subjects: Sequence[Subject], pictures: PairDataset) -> None:
    if len(subjects) > MOST_SERIES:
        raise NothingToCompare(f"a page can tell {MOST_SERIES} models apart, got {len(subjects)}")
    if not len(pictures):
        raise NothingToCompare("there is no picture to compare models on")
