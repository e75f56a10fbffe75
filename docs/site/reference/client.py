"""What `import maskmill` offers, with the docstrings of the code."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from docs.site.reference.markdown import prose

_OPENING = "`pip install maskmill`; `from maskmill import Maskmill`. Everything that is public is below."


def page() -> str:
    import maskmill

    offered = [(name, getattr(maskmill, name)) for name in sorted(maskmill.__all__)]
    return "\n".join(["# Python client", "", _OPENING, "", *(line for each in offered for line in _thing(*each))])


def _thing(name: str, thing: Any) -> Iterator[str]:
    yield from (f"## `{name}`", "")
    if inspect.isclass(thing):
        bases = [
            base.__name__ for base in thing.__bases__ if base.__module__.startswith("maskmill") or base is Exception
        ]
        yield from (f"A kind of `{', '.join(bases)}`.", "") if bases else ()
        if not issubclass(thing, BaseException):
            yield from _signature(name, thing)
    elif callable(thing):
        yield from _signature(name, thing)
    yield from (_said(thing), "")
    for member, value in inspect.getmembers_static(thing) if inspect.isclass(thing) else ():
        if not member.startswith("_") and _is_ours(value):
            yield from _member(name, member, value)


def _is_ours(value: Any) -> bool:
    function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    return inspect.isfunction(function) and function.__module__.startswith("maskmill")


def _member(owner: str, name: str, value: Any) -> Iterator[str]:
    if isinstance(value, property):
        yield from (f"### `{owner}.{name}`", "", _said(value), "")
        return
    function = getattr(value, "__func__", value)
    yield from (f"### `{owner}.{name}()`", "", *_signature(name, function), _said(function), "")


def _signature(name: str, function: Any) -> Iterator[str]:
    parameters = [each for each in inspect.signature(function).parameters.values() if each.name not in ("self", "cls")]
    lines = [f"    {each}," for each in _with_bar(parameters)]
    returned = inspect.signature(function).return_annotation
    arrow = f" -> {returned}" if isinstance(returned, str) and not inspect.isclass(function) else ""
    yield from ("```python", *([f"{name}(", *lines, f"){arrow}"] if lines else [f"{name}(){arrow}"]), "```", "")


def _with_bar(parameters: list[inspect.Parameter]) -> Iterator[str]:
    """With the `*` after which everything is named."""
    barred = False
    for each in parameters:
        barred = barred or each.kind is inspect.Parameter.VAR_POSITIONAL
        if each.kind is inspect.Parameter.KEYWORD_ONLY and not barred:
            barred = True
            yield "*"
        yield str(each)


def _said(thing: Any) -> str:
    own = thing.fget.__doc__ if isinstance(thing, property) else thing.__doc__
    text = inspect.cleandoc(own or "")
    return "" if text.startswith(f"{getattr(thing, '__name__', '')}(") else prose(text)
