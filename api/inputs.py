"""The `inputs` of the JSON form: what each one names, checked in bulk, a hundred thousand in a fraction of a second."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from api.schemas.requests import InputSource, JobInput
from jobs.archives import base_name
from jobs.errors import FieldFault, InvalidOptions
from jobs.job import Source, SourceKind

_NAMED_FAULTS = 20
_USUAL_KEYS = frozenset({"url", "name", "ref"})
_USUAL_URL = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?(/[!-~]*)")


class Input(NamedTuple):
    """One image that a worker fetches."""

    source: Source
    name: str
    ref: str | None = None
    mask: Source | None = None


def read_inputs(value: object, samples: AbstractSet[str]) -> list[Input]:
    """samples: the ids there are. Raises InvalidOptions, which names the first inputs at fault."""
    if value is None:
        raise InvalidOptions([FieldFault("inputs", "is required in the JSON form")])
    if not isinstance(value, list):
        raise InvalidOptions([FieldFault("inputs", "must be a list")])
    inputs: list[Input] = []
    faults: list[FieldFault] = []
    for index, item in enumerate(value):
        found = _usual(item, index) or _any(item, index, samples, faults)
        if found is not None:
            inputs.append(found)
        elif len(faults) >= _NAMED_FAULTS:
            break
    if faults:
        raise InvalidOptions(faults[:_NAMED_FAULTS])
    return inputs


def _usual(item: Any, index: int) -> Input | None:
    """The common case, fifteen times as fast as the whole check: a plain address, perhaps with a name and a ref."""
    if type(item) is not dict or not item.keys() <= _USUAL_KEYS:
        return None
    url, name, ref = item.get("url"), item.get("name"), item.get("ref")
    if type(url) is not str or len(url) > 2048:
        return None
    address = _USUAL_URL.fullmatch(url)
    if address is None or not _is_short_text(name) or not _is_short_text(ref):
        return None
    return Input(Source(SourceKind.URL, url), name or _file_name(address[1], index), ref)


def _is_short_text(text: Any) -> bool:
    return text is None or (type(text) is str and 0 < len(text) <= 255 and text.isprintable())


def _any(item: Any, index: int, samples: AbstractSet[str], faults: list[FieldFault]) -> Input | None:
    """Adds to `faults` and gives None when something is wrong."""
    try:
        given = JobInput.model_validate(item, strict=True)
    except ValidationError as error:
        faults.extend(_fault(each, index) for each in error.errors())
        return None
    unknown = [
        FieldFault(f"inputs.{index}.{where}", f"there is no sample {source.sample!r}")
        for where, source in _sources(given)
        if source.sample is not None and source.sample not in samples
    ]
    faults.extend(unknown)
    return None if unknown else _input(given, index)


def _input(given: JobInput, index: int) -> Input:
    name = given.name
    if name is None:
        name = f"{given.sample}.jpg" if given.url is None else _file_name(urlsplit(given.url).path, index)
    return Input(given.source(), name, given.ref, None if given.mask is None else given.mask.mask_source())


def _sources(given: JobInput) -> Iterator[tuple[str, InputSource]]:
    yield "sample", given
    if given.mask is not None:
        yield "mask.sample", given.mask


def _file_name(path: str, index: int) -> str:
    """What the last part of an address calls its file; a name with a number where it calls it nothing."""
    last = path.partition("?")[0].partition("#")[0].rpartition("/")[2]
    if "%" in last:
        last = base_name(unquote(last))
    return last if last.isprintable() and last else f"image-{index:06d}"


def _fault(error: Any, index: int) -> FieldFault:
    path = ".".join(["inputs", str(index), *(str(part) for part in error["loc"])])
    return FieldFault(path, error["msg"].removeprefix("Value error, "))
