"""How a model is named: a bundle, one version of a registered model, or whatever version an alias has now."""

from __future__ import annotations

import re
from dataclasses import dataclass

PREFIX = "models:/"  # as MLflow writes it; may be left out
CHAMPION = "champion"  # the alias that a name alone means

# How training marks what it registers, and what a worker holds a download against.
CARD_SHA256 = "maskmill.card_sha256"  # tag of a version: of the bytes of its card, which has those of its files

_FORM = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]{0,99})(?:@(?P<alias>[A-Za-z][A-Za-z0-9_-]{0,18})|/(?P<version>[0-9]{1,9}))?"
)


class InvalidReference(Exception):
    """Not the name of a model, in no form."""

    code = "invalid_model_reference"


@dataclass(frozen=True, slots=True)
class ModelReference:
    """`street`, `street@champion` or `street/3`, with or without `models:/` before it."""

    name: str
    alias: str | None = None
    version: str | None = None

    @classmethod
    def parse(cls, text: str) -> ModelReference:
        """Raises InvalidReference."""
        found = _FORM.fullmatch(text.removeprefix(PREFIX))
        if found is None:
            raise InvalidReference(f"{text!r} names no model; models are named NAME, NAME@ALIAS or NAME/VERSION")
        return cls(found["name"], found["alias"], found["version"])

    def __str__(self) -> str:
        if self.alias is not None:
            return f"{self.name}@{self.alias}"
        return self.name if self.version is None else f"{self.name}/{self.version}"


def canonical(text: str) -> str:
    """One spelling for all that mean the same; what names no model stays as it is."""
    try:
        return str(ModelReference.parse(text))
    except InvalidReference:
        return text


def name_of(text: str) -> str:
    """The name alone: `street` of `models:/street@champion`."""
    return canonical(text).partition("@")[0].partition("/")[0]
