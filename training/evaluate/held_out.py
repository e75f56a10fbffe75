"""Whether a model is scored on pictures that it learnt from, or on a model's answers: then scores say little of it."""

from dataclasses import dataclass

from training.datasets.pairs import PairDataset
from training.evaluate.subjects import Subject


@dataclass(frozen=True, slots=True)
class Overlap:
    """learnt: how many of the pictures were learnt from; None: nothing tells. warning: for people, perhaps empty."""

    learnt: int | None
    warning: str = ""


def overlap(subject: Subject, pictures: PairDataset, *, split: str) -> Overlap:
    """By the record of the run, which bundles that are made of it carry along; else by what the card says.

    Masks that are a model's own answers are told of, too: whoever agrees with it scores high.
    """
    found = _learnt(subject, pictures, split=split)
    return Overlap(found.learnt, "; ".join(filter(None, (found.warning, pictures.about.warning))))


def _learnt(subject: Subject, pictures: PairDataset, *, split: str) -> Overlap:
    if subject.learnt is not None:
        learnt = subject.learnt.learnt_among(pictures)
        if not learnt:
            return Overlap(0 if subject.learnt.is_whole else None)
        which = f"{learnt} of these {len(pictures)} pictures" if learnt < len(pictures) else "these pictures"
        return Overlap(learnt, _warning(subject.name, which))
    what = f"{pictures.about.title} ({split})"
    trained_on = "" if subject.card is None else subject.card.dataset.partition(" Scores are of ")[0]
    if what in trained_on:
        return Overlap(len(pictures), _warning(subject.name, f"{what}, as its card says"))
    return Overlap(None)


def _warning(name: str, which: str) -> str:
    return f"{name} learnt from {which}: its scores here say nothing about other pictures"
