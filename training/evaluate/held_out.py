"""Whether a model is scored on pictures that it learnt from, or on a model's answers: then scores say little of it."""

from dataclasses import dataclass

from jobs.comparing.pages.wording import counted
from training.datasets.pairs import PairDataset
from training.evaluate.subjects import Subject


@dataclass(frozen=True, slots=True)
class Overlap:
    """learnt: how many of the pictures were learnt from; None: nothing tells. warning: for people, perhaps empty."""

    learnt: int | None
    warning: str = ""


def overlap(subject: Subject, pictures: PairDataset, *, split: str) -> Overlap:
    """By the record of the run, which bundles that are made of it carry along; else by what the card says.

    Masks that are a model's own answers are told of, too: whoever agrees with it scores high. So are pictures that its
    confidence was fitted to, which are none that it learnt from.
    """
    found = _learnt(subject, pictures, split=split)
    told = (found.warning, _fitted(subject, pictures), pictures.about.warning)
    return Overlap(found.learnt, "; ".join(filter(None, told)))


def _fitted(subject: Subject, pictures: PairDataset) -> str:
    fitted = 0 if subject.fitted is None else subject.fitted.learnt_among(pictures)
    if not fitted:
        return ""
    which = _which(fitted, pictures)
    return f"the confidence of {subject.name} was fitted to {which}: its calibration error says nothing about others"


def _learnt(subject: Subject, pictures: PairDataset, *, split: str) -> Overlap:
    if subject.learnt is not None:
        learnt = subject.learnt.learnt_among(pictures)
        if not learnt:
            return Overlap(0 if subject.learnt.is_whole else None)
        return Overlap(learnt, _warning(subject.name, _which(learnt, pictures)))
    what = f"{pictures.about.title} ({split})"
    trained_on = "" if subject.card is None else subject.card.dataset.partition(" Scores are of ")[0]
    if what in trained_on:
        return Overlap(len(pictures), _warning(subject.name, f"{what}, as its card says"))
    return Overlap(None)


def _which(count: int, pictures: PairDataset) -> str:
    return f"{count} of these {counted(len(pictures), 'picture')}" if count < len(pictures) else "these pictures"


def _warning(name: str, which: str) -> str:
    return f"{name} learnt from {which}: its scores here say nothing about other pictures"
