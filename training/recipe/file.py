"""Reads recipes: TOML to the dataclasses of recipe.py, strictly. Knows no single key; the types say what is allowed."""

import inspect
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from training.recipe.lines import place_of
from training.recipe.recipe import Recipe, RecipeError

T = TypeVar("T")


def load_recipe(path: Path) -> Recipe:
    """Raises RecipeError for what is no TOML, an unknown key, a missing key, or a value that is not allowed."""
    return read_recipe(recipe_text(path), name=path.name)


def recipe_text(path: Path) -> str:
    """Raises RecipeError for a file that is not there or is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(f"there is no recipe {path}") from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path.name} is not TOML: {error}") from error


def read_recipe(text: str, *, name: str, file: str | None = None) -> Recipe:
    """name: what errors call the text. file: the text before single values of it were changed, for their lines."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name} is not TOML: {error}") from error
    with faults_located(text, name=name, file=file):
        return parse_recipe(table)


@contextmanager
def faults_located(text: str, *, name: str, file: str | None = None) -> Iterator[None]:
    """A RecipeError that names a key leaves with the file's name and the line. file: as `read_recipe` takes it."""
    try:
        yield
    except RecipeError as error:
        place = place_of(text, error.where, file=file)
        raise RecipeError(f"{name}{place}: {error}", where=error.where) from error


def parse_recipe(table: Mapping[str, Any]) -> Recipe:
    return cast(Recipe, _build(Recipe, table, ""))


def chosen(
    registry: Mapping[str, Callable[..., T]], name: str, options: Mapping[str, Any], where: str
) -> Callable[..., T]:
    """The registry's entry with the recipe's options bound. Raises RecipeError, naming what could be chosen.

    where: the path of the key that holds `name`; its options stand beside it under `options`.
    """
    if name not in registry:
        raise RecipeError(f"{where}: got {name!r}; allowed: {', '.join(registry)}", where=where)
    parameters = inspect.signature(registry[name]).parameters.values()
    allowed = [each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    hints = get_type_hints(registry[name])
    for option, value in options.items():
        at = f"{where.rpartition('.')[0]}.options.{option}"
        if option not in allowed:
            choices = ", ".join(allowed) or "none"
            raise RecipeError(f"{at}: unknown option of {name!r}; allowed: {choices}", where=at)
        _value(hints[option], value, at)
    return partial(registry[name], **options)


def _build(kind: Any, table: object, where: str) -> object:
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where or 'recipe'}: expected a table, got {table!r}", where=where)
    hints = get_type_hints(kind)
    known: dict[str, Field[Any]] = {each.metadata.get("key", each.name): each for each in fields(kind)}
    for key in table:
        if key not in known:
            at = _joined(where, key)
            raise RecipeError(f"{at}: unknown key, got {table[key]!r}; allowed: {', '.join(known)}", where=at)
    for key, each in known.items():
        if key not in table and _is_required(each):
            raise RecipeError(f"{_joined(where, key)}: missing; expected {_expected(hints[each.name])}", where=where)
    named = {known[key].name: (value, _joined(where, key)) for key, value in table.items()}
    return kind(**{name: _value(hints[name], value, at) for name, (value, at) in named.items()})


def _value(kind: Any, value: Any, where: str) -> object:
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _build(kind, value, where)
    if origin is Literal:
        if value not in arguments:
            raise RecipeError(f"{where}: got {value!r}; allowed: {', '.join(map(repr, arguments))}", where=where)
        return value
    if origin is tuple:
        return _tuple(arguments, value, where)
    if origin is UnionType:
        return _value(next((each for each in arguments if type(value) is each), arguments[0]), value, where)
    if kind is float:
        return _number(value, where)
    if not isinstance(value, origin or kind) or isinstance(value, bool) != (kind is bool):
        raise RecipeError(f"{where}: expected {_expected(kind)}, got {value!r}", where=where)
    return value


def _number(value: Any, where: str) -> float:
    with suppress(OverflowError):  # of a whole number that no float holds
        if type(value) in (int, float) and math.isfinite(number := float(value)):
            return number
    raise RecipeError(f"{where}: expected {_expected(float)}, got {value!r}", where=where)


def _tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[object, ...]:
    endless = arguments[-1] is Ellipsis
    if not isinstance(value, list) or (not endless and len(value) != len(arguments)):
        expected = "a list" if endless else f"a list of {len(arguments)}"
        raise RecipeError(f"{where}: expected {expected}, got {value!r}", where=where)
    kinds = [arguments[0]] * len(value) if endless else list(arguments)
    return tuple(_value(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True)))


_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    dict: "a table",
    Mapping: "a table",
    tuple: "a list",
}


def _expected(kind: Any) -> str:
    return "a table" if is_dataclass(kind) else _WORDS.get(get_origin(kind) or kind, str(kind))


def _is_required(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _joined(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
