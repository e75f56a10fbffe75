"""Reads recipes: TOML to the dataclasses of recipe.py, strictly. Knows no single key; the types say what is allowed."""

import inspect
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from training.recipe import Recipe, RecipeError

T = TypeVar("T")


def load_recipe(path: Path) -> Recipe:
    """Raises RecipeError for what is no TOML, an unknown key, a missing key, or a value of the wrong type."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path.name} is not TOML: {error}") from error
    return parse_recipe(table)


def parse_recipe(table: Mapping[str, Any]) -> Recipe:
    return cast(Recipe, _build(Recipe, table, ""))


def chosen(
    registry: Mapping[str, Callable[..., T]], name: str, options: Mapping[str, Any], where: str
) -> Callable[..., T]:
    """The registry's entry with the recipe's options bound. Raises RecipeError, naming what could be chosen."""
    if name not in registry:
        raise RecipeError(f"{where}: got {name!r}; allowed: {', '.join(registry)}")
    parameters = inspect.signature(registry[name]).parameters.values()
    allowed = [each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    for option in options:
        if option not in allowed:
            raise RecipeError(f"options.{option} of {where} {name!r}: unknown; allowed: {', '.join(allowed) or 'none'}")
    return partial(registry[name], **options)


def _build(kind: Any, table: object, where: str) -> object:
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where or 'recipe'}: expected a table, got {table!r}")
    hints = get_type_hints(kind)
    known = {each.name: each for each in fields(kind)}
    for key in table:
        if key not in known:
            raise RecipeError(f"{_joined(where, key)}: unknown key; allowed: {', '.join(known)}")
    for name, each in known.items():
        if name not in table and _is_required(each):
            raise RecipeError(f"{_joined(where, name)}: missing")
    return kind(**{key: _value(hints[key], value, _joined(where, key)) for key, value in table.items()})


def _value(kind: Any, value: Any, where: str) -> object:
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _build(kind, value, where)
    if origin is Literal:
        if value not in arguments:
            raise RecipeError(f"{where}: got {value!r}; allowed: {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        return _tuple(arguments, value, where)
    if kind is float and type(value) is int:
        return float(value)
    if not isinstance(value, origin or kind) or isinstance(value, bool) != (kind is bool):
        raise RecipeError(f"{where}: expected {_WORDS.get(origin or kind, kind)}, got {value!r}")
    return value


def _tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[object, ...]:
    endless = arguments[-1] is Ellipsis
    if not isinstance(value, list) or (not endless and len(value) != len(arguments)):
        expected = "a list" if endless else f"a list of {len(arguments)}"
        raise RecipeError(f"{where}: expected {expected}, got {value!r}")
    kinds = [arguments[0]] * len(value) if endless else list(arguments)
    return tuple(_value(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True)))


_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "a table"}


def _is_required(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _joined(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
