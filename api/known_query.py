"""Query parameters that nobody knows, or that are given twice, are faults: with a filter that is misspelt, an option of
a job that stands in the address, or one of two values the answer would look right.

Whatever has such answers declares it, as they declare who may call: `dependencies=[KNOWN_QUERY]`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import cast

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

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


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for each in dependant.dependencies:
        yield from _names(each)


def _fits(name: str, known: tuple[str, ...]) -> bool:
    open_ones = tuple(each.removesuffix(KEY) for each in known if each.endswith(f".{KEY}"))
    return name in known or any(name.startswith(each) and name != each for each in open_ones)


def _said(known: tuple[str, ...]) -> str:
    return f"is no parameter here; there {'are: ' + ', '.join(known) if known else 'is none'}"
