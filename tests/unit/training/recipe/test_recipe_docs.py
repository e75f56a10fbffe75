"""docs/recipes.md names every key of a recipe, with its default."""

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from training.recipe.recipe import Recipe

PAGE = Path(__file__).parents[4] / "docs" / "recipes.md"
SAME_AS_DATA = "validation"


def keys(kind: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every key below `where` with its default, as the page writes it."""
    hints = get_type_hints(kind)
    for each in fields(kind):
        hint, name = hints[each.name], f"{where}{each.metadata.get('key', each.name)}"
        listed = get_args(hint)[0] if get_origin(hint) is tuple else None
        if name == SAME_AS_DATA:
            continue
        if is_dataclass(hint) or is_dataclass(listed):
            yield from keys(hint if listed is None else listed, f"{name}{'' if listed is None else '[]'}.")
        elif each.default_factory is not MISSING:
            yield name, f"`{json.dumps(each.default_factory())}`"
        else:
            yield name, "required" if each.default is MISSING else f"`{json.dumps(each.default)}`"


def test_every_key_of_a_recipe_is_explained_with_its_default():
    written = dict(re.findall(r"^\| `([^`]+)` \| (`[^`]*`|required) \|", PAGE.read_text("utf-8"), flags=re.MULTILINE))
    assert written == dict(keys(Recipe, ""))
