"""The keys of a recipe with their types and defaults, and what can be named in one."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.site.reference.markdown import cell, code, prose, table

_OPENING = "Types and defaults as the code has them; what each is for: [recipes](../recipes.md)."


def page() -> str:
    from training.datasets import DATASETS
    from training.models import MODELS
    from training.recipe import recipe

    lines = ["# Recipe keys", "", _OPENING, "", "## The recipe", "", _keys(recipe.Recipe), *_tables(recipe)]
    named = [("architecture", MODELS), ("data set", DATASETS)]
    lines += [
        f"{len(names)} {kind}s can be named: {', '.join(code(each) for each in names)}.\n" for kind, names in named
    ]
    return "\n".join(
        [*lines, "## Recipes that come along", "", table(("recipe", "architecture", "data", "epochs"), _bundled())]
    )


def _tables(module: Any) -> Iterator[str]:
    from training.datasets.augmentation import Augmentation

    kinds = (
        ("[model]", module.ModelChoice),
        ("[start]", module.StartChoice),
        ("[[data]] and [validation]", module.DataChoice),
        ("[loss]", module.LossChoice),
        ("[distillation]", module.DistillationChoice),
        ("[optimiser]", module.OptimiserChoice),
        ("[schedule]", module.ScheduleChoice),
        ("[early_stopping]", module.EarlyStopping),
        ("[augmentation]", Augmentation),
        ("[[stages]]", module.Stage),
        ("[search]", module.SearchChoice),
    )
    for title, kind in kinds:
        yield from (f"## `{title}`", "", prose(kind.__doc__ or ""), "", _keys(kind))


def _keys(kind: Any) -> str:
    return table(("key", "type", "default"), (_key(each) for each in dataclasses.fields(kind)))


def _key(field: dataclasses.Field[Any]) -> tuple[str, ...]:
    kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
    if "[" in str(field.type):
        kind = str(field.type).replace("typing.", "")
    default = field.default
    shown = "" if default is dataclasses.MISSING or dataclasses.is_dataclass(default) else code(repr(default))
    return code(field.metadata.get("key", field.name)), code(cell(kind)), shown


def _bundled() -> Iterator[tuple[str, ...]]:
    from training import recipes

    for path in sorted(Path(recipes.__path__[0]).glob("*.toml")):
        read = tomllib.loads(path.read_text("utf-8"))
        data = ", ".join(dict.fromkeys(each["dataset"] for each in read["data"]))
        yield (
            code(path.stem),
            code(read["model"]["architecture"]),
            data,
            str(sum(each["epochs"] for each in read["stages"])),
        )
