"""Query parameters that nobody knows, or that are given twice, are faults: with a filter that is misspelt, an option of
a job that stands in the address, or one of two values the answer would look right. What is wrong with a value is said
in words: whoever types an option of the command line is not told of a regular expression.

Whatever has such answers declares it, as they declare who may call: `dependencies=[KNOWN_QUERY]`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import cast

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import AfterValidator

from jobs.errors import FieldFault, InvalidOptions


async def refuse_unknown(request: Request) -> None:
    """Raises InvalidOptions, which names every unknown parameter, and the known ones; one that ends as `name.KEY` has
    any key. None takes several values."""
    if not request.query_params:
        return
    known = tuple(dict.fromkeys(_names(cast(APIRoute, request.scope["route"]).dependant)))
    unknown = [name for name in dict.fromkeys(request.query_params) if not _fits(name, known)]
    if unknown:
        said = _said(known) + (IN_THE_BODY if request.method == "POST" and not known else "")
        raise InvalidOptions([FieldFault(name, said) for name in unknown])
    given = Counter(name for name, _ in request.query_params.multi_items())
    if twice := [name for name, times in given.items() if times > 1]:
        raise InvalidOptions([FieldFault(name, TWICE) for name in twice])


KEY = "KEY"
TWICE = "is given more than once; where there may be several values, they are one text with commas between them"
IN_THE_BODY = "; options of a job stand in the body"
KNOWN_QUERY = Depends(refuse_unknown)
_SHOWN = 100  # characters of a wrong value


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for each in dependant.dependencies:
        yield from _names(each)


def _fits(name: str, known: tuple[str, ...]) -> bool:
    open_ones = tuple(each.removesuffix(KEY) for each in known if each.endswith(f".{KEY}"))
    return name in known or any(name.startswith(each) and name != each for each in open_ones)


def _said(known: tuple[str, ...]) -> str:
    return f"is no parameter here; there {'are: ' + ', '.join(known) if known else 'is none'}"


def one_of(names: Collection[str]) -> AfterValidator:
    """Of a text: a fault names those that there are."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in names:
            raise ValueError(f"must be one of {', '.join(names)}, got {value[:_SHOWN]!r}")
        return value

    return AfterValidator(check)


def fitting(pattern: str, said: str) -> AfterValidator:
    """Of a text. said: what follows "must be", in place of the pattern."""
    whole = re.compile(pattern)

    def check(value: str | None) -> str | None:
        if value is not None and whole.fullmatch(value) is None:
            raise ValueError(f"must be {said}, got {value[:_SHOWN]!r}")
        return value

    return AfterValidator(check)
