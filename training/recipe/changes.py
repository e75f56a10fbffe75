"""What two recipes differ in, as far as it matters to a run that was begun with one and goes on with the other."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from training.recipe.recipe import Recipe

# What is looked at and when a run ends may change while it goes on; stages have a rule of their own.
FREE = ("name", "search", "evaluate_every", "early_stopping")


@dataclass(frozen=True, slots=True)
class Change:
    """where: the key's path, as `optimiser.learning_rate`."""

    where: str
    was: object
    is_now: object

    def __str__(self) -> str:
        return f"{self.where} was {self.was!r} and is {self.is_now!r}"


def changes(old: Recipe, new: Recipe, *, epochs_done: int) -> list[Change]:
    """Without what lies ahead: epochs may be added or taken away and later stages changed, as long as none is done."""
    found = list(_differences(_fixed(old), _fixed(new), ""))
    for epoch in range(epochs_done):
        if epoch >= new.epochs:
            return [*found, _shortened(old, new, epochs_done)]
        was, is_now = ({**asdict(each.stage_of(epoch)), "epochs": None} for each in (old, new))
        ahead = list(_differences(was, is_now, f"stages[{new.stage_number(epoch)}]"))
        if ahead:
            return [*found, *ahead]
    return found


def _shortened(old: Recipe, new: Recipe, epochs_done: int) -> Change:
    """Of a recipe that ends before the run does. Of the last stage's epochs those count that were done."""
    if len(new.stages) < len(old.stages):
        return Change("stages", len(old.stages), len(new.stages))
    last = new.stages[-1].epochs
    return Change(f"stages[{len(new.stages) - 1}].epochs", epochs_done - (new.epochs - last), last)


def _fixed(recipe: Recipe) -> dict[str, Any]:
    values = {name: value for name, value in asdict(recipe).items() if name not in (*FREE, "stages")}
    if recipe.label_space.endswith(".json"):
        values["label_space"] = "a file of one's own"  # the run keeps a copy, which is compared
    return values


def _differences(old: object, new: object, where: str) -> Iterator[Change]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(each for each in new if each not in old)]:
            yield from _differences(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
    elif isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        for number, (was, is_now) in enumerate(zip(old, new, strict=True)):
            yield from _differences(was, is_now, f"{where}[{number}]")
    elif old != new:
        yield Change(where.replace("start.source", "start.from"), old, new)
