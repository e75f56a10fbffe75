"""Changes single values in a recipe's text and leaves the rest as it stands, comments too: for `--set KEY=VALUE`."""

import re
import tomllib
from collections.abc import Sequence
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from training.recipe.recipe import RecipeError

_STEP = re.compile(r"([^.\[\]=]+)((?:\[\d+\])*)")


def with_settings(text: str, settings: Sequence[str]) -> str:
    """settings: `optimiser.learning_rate=0.01`, `stages[0].epochs=2`, `name=other`. Raises RecipeError."""
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise RecipeError(f"--set {setting}: expected KEY=VALUE, as optimiser.learning_rate=0.001")
        text = with_value(text, key.strip(), _parsed(value.strip()))
    return text


def with_value(text: str, where: str, value: object) -> str:
    """The text with `value` at the key `where`, which need not be there yet. Raises RecipeError."""
    try:
        document: Any = tomlkit.parse(text)
    except TOMLKitError as error:
        raise RecipeError(f"the recipe is not TOML: {error}") from error
    *way, last = _steps(where)
    place = document
    for step in way:
        if isinstance(step, str) and isinstance(place, dict) and step not in place:
            place[step] = tomlkit.table()
        place = _inside(place, step, where)
    if isinstance(last, int) or not isinstance(place, dict):
        _inside(place, last, where)
    place[last] = value
    return tomlkit.dumps(document)


def _inside(place: Any, step: str | int, where: str) -> Any:
    fits = isinstance(place, dict) if isinstance(step, str) else isinstance(place, list) and step < len(place)
    if not fits:
        raise RecipeError(f"--set {where}: there is no {step!r} in it; count from [0], as in stages[0].epochs")
    return place[step]


def _steps(where: str) -> list[str | int]:
    """`stages[0].epochs` → ["stages", 0, "epochs"]."""
    steps: list[str | int] = []
    for part in where.split("."):
        match = _STEP.fullmatch(part)
        if match is None:
            raise RecipeError(f"--set {where}: expected a key as optimiser.learning_rate or stages[0].epochs")
        steps += [match[1], *(int(number) for number in re.findall(r"\d+", match[2]))]
    return steps


def _parsed(value: str) -> object:
    """A TOML value; what is none is text, so that a name needs no quotes."""
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value
