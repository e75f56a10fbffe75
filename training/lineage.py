"""What weights have learnt from: a run's data sets, and those of the runs whose weights it began with (data.json)."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from segmentation.model_card import ModelCard
from training.datasets.marks import without_size
from training.datasets.pairs import PairDataset
from training.recipe.file import load_recipe
from training.recipe.recipe import Recipe, RecipeError

DATA = "data.json"
LEARNT = "learnt.json"  # in a bundle: the part of it that tells what was learnt from
FITTED = "fitted.json"  # the same of the pictures that its confidence was fitted to
RECIPE = "recipe.toml"
NOT_TOLD = "not told by the run that learnt from it"
ELSEWHERE = "imagenet"  # as a data set: photographs of which none is in a set with masks


class DamagedRun(Exception):
    """A file in a run's folder is not as a run writes it; the message names it."""

    code = "damaged_run"


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Around what reads a file of a run: raises DamagedRun for whatever it is not."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecipeError) as error:
        raise DamagedRun(f"{path} is damaged, or no {path.name} of a run: bring back a copy ({error})") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """One data set. marks: of each picture, by which it is known again; empty where none were written down. others:
    further marks of some.

    run: whose weights brought it along, or whose soft labels (taught); empty where the run itself learnt from it.
    """

    dataset: str
    split: str
    title: str
    licence: str
    source: str = ""
    count: int = 0
    marks: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    run: str = ""
    taught: bool = False

    @classmethod
    def of(cls, pictures: PairDataset, *, dataset: str, split: str) -> "Learnt":
        return cls(
            dataset=dataset,
            split=split,
            title=pictures.about.title,
            licence=pictures.about.licence,
            source=pictures.about.source,
            count=len(pictures),
            marks=tuple(pictures.marks()),
            others=tuple(filter(None, pictures.other_marks())),
        )

    @classmethod
    def unknown(cls, run: str) -> "Learnt":
        return cls(dataset="", split="", title="data that nothing tells of", licence=NOT_TOLD, run=run)

    def without(self, marks: Collection[str]) -> "Learnt":
        left = [tuple(each for each in these if each not in marks) for these in (self.marks, self.others)]
        return replace(self, marks=left[0], others=left[1])

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Learnt":
        known = {each.name: value[each.name] for each in fields(cls) if each.name in value}
        marks = {"marks": tuple(map(without_size, value.get("marks", ()))), "others": tuple(value.get("others", ()))}
        return cls(**{**known, **marks})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRecord:
    """train, validation: names of the pictures. learnt: empty in runs of before it was written down.

    spaces: what the ids of their masks mean, of each data set and of the validation, as `what_ids_mean` says it.
    """

    train: Sequence[str]
    validation: Sequence[str]
    learnt: tuple[Learnt, ...] = ()
    spaces: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> "DataRecord":
        """Of a run's folder. Raises FileNotFoundError, DamagedRun."""
        with damage_named(folder / DATA):
            content = json.loads((folder / DATA).read_text(encoding="utf-8"))
            learnt = tuple(Learnt.from_dict(each) for each in content.get("learnt", ()))
            spaces = tuple(map(str, content.get("spaces", ())))
            return cls(train=content["train"], validation=content["validation"], learnt=learnt, spaces=spaces)

    @classmethod
    def read_learnt(cls, bundle: Path, file: str = LEARNT) -> "DataRecord":
        """Of a bundle's folder. file: LEARNT or FITTED. Raises FileNotFoundError, DamagedRun."""
        with damage_named(bundle / file):
            content = json.loads((bundle / file).read_text(encoding="utf-8"))
            return cls(train=(), validation=(), learnt=tuple(Learnt.from_dict(each) for each in content["learnt"]))

    def write_learnt(self, path: Path) -> None:
        path.write_text(json.dumps({"learnt": self.to_dict()["learnt"]}, indent=1), encoding="utf-8")

    @classmethod
    def fitted_to(cls, pictures: PairDataset, *, split: str) -> "DataRecord":
        """What a bundle keeps as FITTED. pictures: to which its confidence was fitted."""
        return cls(train=(), validation=(), learnt=(Learnt.of(pictures, dataset="", split=split),))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def is_whole(self) -> bool:
        """Whether every picture that was learnt from would be known again; of weights of an old run none is."""
        return all(each.marks or each.dataset == ELSEWHERE for each in self.learnt)

    def going_on(self, before: "DataRecord") -> "DataRecord":
        """Of a run that goes on with this data: what it had learnt from before stays learnt from.

        before: what it had written down. The same where its folders hold what they held.
        """
        here, names = all_marks(self.learnt), set(self.train)
        left = [each.without(here) for each in before.learnt]
        gone = [replace(each, count=len(each.marks)) for each in left if each.marks and not each.run]
        train = [*self.train, *(each for each in before.train if each not in names)]
        return replace(self, train=train, learnt=(*self.learnt, *gone)) if gone else self

    def learnt_among(self, pictures: PairDataset) -> int:
        """How many of the pictures were learnt from, here or by the weights that this began with."""
        if not self.learnt:
            names = set(self.train)
            return sum(name in names for name in pictures.names())
        known = all_marks(self.learnt)
        return sum(not known.isdisjoint(marks) for marks in zip(pictures.marks(), pictures.other_marks(), strict=True))


def all_marks(learnt: Iterable[Learnt]) -> set[str]:
    return {mark for each in learnt for mark in (*each.marks, *each.others)}


def noted_recipe(folder: Path) -> Recipe:
    """With which a run was begun. Raises DamagedRun, also for one that can no longer be read."""
    with damage_named(folder / RECIPE):
        return load_recipe(folder / RECIPE)


def learnt_by(folder: Path, name: str) -> tuple[Learnt, ...]:
    """What the weights in a folder have learnt from, as who begins with them writes it down. name: of their run.

    Raises DamagedRun.
    """
    if (folder / DATA).is_file() and (record := DataRecord.read(folder)).learnt:
        return tuple(replace(each, run=each.run or name) for each in record.learnt)
    if (folder / RECIPE).is_file():
        return tuple(
            Learnt(dataset=each.dataset, split=each.split, title=each.dataset, licence=NOT_TOLD, run=name)
            for each in noted_recipe(folder).data
        )
    return (Learnt.unknown(name),)


def learnt_by_bundle(card: ModelCard, record: DataRecord | None) -> tuple[Learnt, ...]:
    """What the weights of a bundle have learnt from, on the terms of its card: they are of the whole model, and count
    beside what they do not say of a data set. record: as the bundle notes it; None where it does not."""
    learnt = record.learnt if record is not None and record.learnt else (_as_told(card),)
    return tuple(_on_terms_of(card, each) for each in learnt)


def _as_told(card: ModelCard) -> Learnt:
    unknown = Learnt.unknown(card.name)
    return replace(unknown, title=f"what its card says: {card.dataset}") if card.dataset else unknown


def _on_terms_of(card: ModelCard, learnt: Learnt) -> Learnt:
    told = card.licence and (learnt.licence == NOT_TOLD or learnt.licence in card.licence)
    licence = card.licence if told else " ".join(each for each in (learnt.licence, card.licence) if each)
    return replace(learnt, licence=licence, source=learnt.source or card.source)
