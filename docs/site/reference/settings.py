"""Every setting of every package, with its type and default as the code has them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from docs.site.reference.markdown import code, prose, table

OWNERS = ("telemetry", "storage", "broker", "api", "worker", "training", "dashboard")
_OPENING = "Types and defaults as the code has them; what each is for: [configuration](../configuration.md)."


def page() -> str:
    return "\n".join(["# Settings", "", _OPENING, "", *(line for owner in OWNERS for line in _owner(owner))])


def _owner(package: str) -> Iterator[str]:
    module = importlib.import_module(f"{package}.settings")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, BaseSettings) and value.__module__ == module.__name__:
            yield from (f"## `{package}`: {value.__name__}", "", prose(value.__doc__ or ""), "")
            yield table(
                ("variable", "type", "default", "note"), (_row(value, *each) for each in value.model_fields.items())
            )


def _row(settings: type[BaseSettings], name: str, field: Any) -> tuple[str, ...]:
    shown = "" if field.is_required() or field.default_factory else code(repr(field.default))
    return code(variable(settings, name, field)), code(_kind(field.annotation)), shown, prose(field.description or "")


def _kind(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) and "[" not in str(annotation) else str(annotation)


def variable(settings: type[BaseSettings], name: str, field: Any) -> str:
    """The environment variable that is looked at first."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    ours = [each for each in choices if isinstance(each, str) and each.startswith("MASKMILL_")]
    return ours[0] if ours else f"{settings.model_config.get('env_prefix', '')}{name}".upper()
