"""The `inputs` of the JSON form: what each one names, checked in bulk, a hundred thousand in a fraction of a second."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from api.schemas.requests import InputSource, JobInput, ListedMask
from jobs.errors import FieldFault, InvalidOptions, TooManyImages
from jobs.inputs.of_job import OfJob
from jobs.job import ImageStatus, NewImage, Source, SourceKind
from jobs.submitting.names import NAME_LENGTH, base_name
from jobs.submitting.references import Given, GivenMask, Prefix
from jobs.uploads.upload import UPLOAD_ID

_NAMED_FAULTS = 20
_USUAL_KEYS = frozenset({"url", "name", "ref"})
_USUAL_UPLOAD_KEYS = frozenset({"upload", "name", "ref"})
_USUAL_OBJECT_KEYS = frozenset({"object", "name", "ref"})
_USUAL_OBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]/[!-$&-~]{1,1000}")
# What is refused by a pattern is told how it looks instead.
_LOOKS = {
    "job": "job_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
    "upload": "upl_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
    "manifest": "upl_01JD3T1M4Z8Q5R6S7T8V9WAXBY",
    "object": "BUCKET/KEY",
    "prefix": "BUCKET/FOLDER/",
}
# Its group is the last part of the path.
_USUAL_URL = re.compile(
    r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[1-9]\d{0,3})?/(?:[!\"$->@-~]*/)?([!\"$-.0->@-~]*)(?:[?#][!-~]*)?"
)


class Manifest(NamedTuple):
    """An uploaded list of inputs, still to be read. at: where the request names it."""

    upload_id: str
    at: str


class InputReader:
    """Takes the inputs of a request one by one.

    samples: the ids there are. limit: how many there may be. at: where they stand.
    """

    def __init__(self, samples: AbstractSet[str], *, limit: int, at: str = "inputs") -> None:
        self._samples, self._limit, self._at = samples, limit, at
        self._inputs: list[Given | Manifest] = []
        self._faults: list[FieldFault] = []
        self._taken = 0

    def take(self, item: Any) -> None:
        """Raises TooManyImages, and InvalidOptions once there are many faults."""
        index, self._taken = self._taken, self._taken + 1
        if self._taken > self._limit:
            raise TooManyImages(f"a job may hold at most {self._limit} images")
        found = _usual(item, index) or self._any(item, index)
        if found is not None:
            self._inputs.append(found)
        elif len(self._faults) >= _NAMED_FAULTS:
            self._refuse()

    def take_lines(self, lines: Iterable[bytes]) -> None:
        """Of a manifest."""
        for line in lines:
            try:
                item = json.loads(line)
            except (ValueError, RecursionError):
                item = None
            self.take(item)

    def inputs(self) -> list[Given | Manifest]:
        """All that were taken. Raises InvalidOptions, which names the first inputs at fault."""
        if self._faults:
            self._refuse()
        return self._inputs

    def _refuse(self) -> NoReturn:
        raise InvalidOptions(self._faults[:_NAMED_FAULTS])

    def _any(self, item: Any, index: int) -> Given | Manifest | None:
        """None, and a fault, when something is wrong."""
        at = f"{self._at}.{index}"
        if not isinstance(item, dict):
            said = 'must be an object, as {"url": "https://…"}'
            self._faults.append(FieldFault(at, f"{said}, not text" if isinstance(item, str) else said))
            return None
        try:
            given = JobInput.model_validate(item, strict=True)
        except ValidationError as error:
            self._faults.extend(_fault(each, at) for each in error.errors())
            return None
        unknown = [
            FieldFault(f"{at}.{where}", f"there is no sample {source.sample!r}")
            for where, source in _samples(given)
            if source.sample not in self._samples
        ]
        self._faults.extend(unknown)
        return None if unknown else _input(given, index, at)


class MaskReader:
    """Takes the `masks` of a request one by one."""

    def __init__(self, samples: AbstractSet[str], *, limit: int) -> None:
        self._samples, self._limit = samples, limit
        self.masks: list[GivenMask] = []

    def take(self, item: Any) -> None:
        """Raises TooManyImages, InvalidOptions."""
        at = f"masks.{len(self.masks)}"
        if len(self.masks) >= self._limit:
            raise TooManyImages(f"a job may hold at most {self._limit} masks")
        try:
            mask = ListedMask.model_validate(item, strict=True)
        except ValidationError as error:
            raise InvalidOptions([_fault(each, at) for each in error.errors()]) from error
        if mask.sample is not None and mask.sample not in self._samples:
            raise InvalidOptions([FieldFault(f"{at}.sample", f"there is no sample {mask.sample!r}")])
        given = mask.given()
        if isinstance(given, NewImage) and not given.name:
            given = given._replace(name=_own_name(mask, len(self.masks)))
        self.masks.append(given)


def _usual(item: Any, index: int) -> NewImage | None:
    """The common cases, fifteen times as fast as the whole check: an address or an upload, maybe with name and ref."""
    if type(item) is not dict:
        return None
    name, ref = item.get("name"), item.get("ref")
    if not (name is None or _is_short_text(name)) or not (ref is None or _is_short_text(ref)):
        return None
    if _USUAL_UPLOAD_KEYS.issuperset(item):
        upload = item.get("upload")
        if type(upload) is not str or UPLOAD_ID.fullmatch(upload) is None:
            return None
        return NewImage(Source(SourceKind.UPLOAD, upload), name or "", ref)
    if _USUAL_OBJECT_KEYS.issuperset(item):
        place = item.get("object")
        if type(place) is not str or _USUAL_OBJECT.fullmatch(place) is None:
            return None
        return NewImage(Source(SourceKind.BUCKET, place), name or _file_name(place.rpartition("/")[2], index), ref)
    url = item.get("url")
    if type(url) is not str or len(url) > 2048 or not _USUAL_KEYS.issuperset(item):
        return None
    address = _USUAL_URL.fullmatch(url)
    if address is None:
        return None
    return NewImage(Source(SourceKind.URL, url), name or _file_name(address[1], index), ref)


def _is_short_text(text: Any) -> bool:
    return type(text) is str and 0 < len(text) <= NAME_LENGTH and text.isprintable()


def _input(given: JobInput, index: int, at: str) -> Given | Manifest:
    if given.manifest is not None:
        return Manifest(given.manifest, f"{at}.manifest")
    if given.job is not None:
        status = given.status and ImageStatus(given.status)
        return OfJob(given.job, status, given.indices, corrected=given.masks is not None)
    if given.prefix is not None:
        return Prefix(given.prefix, given.ref, None if given.mask is None else given.mask.prefix)
    mask = None if given.mask is None else given.mask.mask_source()
    return NewImage(given.source(), given.name or _own_name(given, index), given.ref, mask)


def _own_name(given: InputSource, index: int) -> str:
    """What a source calls its file; an upload's is looked up later."""
    if given.sample is not None:
        return f"{given.sample}.jpg"
    if given.upload is not None:
        return ""
    return _file_name(_last_part(given.url) if given.url is not None else str(given.object).rpartition("/")[2], index)


def _samples(given: JobInput) -> Iterator[tuple[str, InputSource]]:
    """Those that name a sample."""
    if given.sample is not None:
        yield "sample", given
    if given.mask is not None and given.mask.sample is not None:
        yield "mask.sample", given.mask


def _last_part(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]


def _file_name(last: str, index: int) -> str:
    """What the last part of an address calls its file; a name with a number where it calls it nothing."""
    last = unquote(last) if "%" in last else last
    last = base_name(last) if last.isprintable() else ""
    return last[:NAME_LENGTH] or f"image-{index:06d}"


def _fault(error: Any, at: str) -> FieldFault:
    path = ".".join([at, *(str(part) for part in error["loc"])])
    looks = _LOOKS.get(str(error["loc"][-1])) if error["type"] == "string_pattern_mismatch" else None
    if looks is not None:
        return FieldFault(path, f"must look like {looks}, got {error['input'][:100]!r}")
    return FieldFault(path, error["msg"].removeprefix("Value error, "))
