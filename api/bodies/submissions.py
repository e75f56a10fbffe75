"""From the bytes of a request to a job: the multipart form and the JSON form of `POST /jobs`, and one picture."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NoReturn, TypeVar

from api.bodies.forms import FilePart, FormRules, read_form
from api.bodies.inputs import InputReader, Manifest, MaskReader
from api.bodies.json_body import read_json
from api.errors import BadRequest
from jobs.errors import FieldFault, InvalidOptions, NoImages, UnsupportedMedia
from jobs.job import Job
from jobs.options import JobOptions, parse_option_fields, parse_options
from jobs.submitting.drafts import Draft, is_packed_file
from jobs.submitting.references import Given, References
from jobs.submitting.submit import Submitting
from storage.model_reference import canonical

JSON_BYTES = 64 * 2**20

P = TypeVar("P", bound="_Parts")
OptionsOf = Callable[[dict[str, str]], JobOptions]


@dataclass(frozen=True, slots=True)
class PictureField:
    """A field of a form that takes one picture. options: of the job, by the form's text fields.

    unreadable: what is raised for a file that is not one picture; else what the main interface raises.
    """

    options: OptionsOf
    unreadable: Callable[[str], Exception] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormSubmission:
    """spool: where files that are not small lie until they are stored. last_wins: of text fields, see FormRules."""

    submitting: Submitting
    boundary: bytes
    spool: Path
    idempotency_key: str | None
    last_wins: bool = False

    def jobs_form(self, pieces: Iterable[bytes]) -> Job:
        """`files`, `masks` and options, in any order."""
        return self._submit(pieces, _JobParts)[1]

    def picture_form(self, pieces: Iterable[bytes], fields: Mapping[str, PictureField]) -> tuple[str, Job]:
        """One picture, in one of these fields, and text fields that become options. Returns which field it was in."""
        parts, job = self._submit(pieces, lambda draft: _OnePicture(draft, fields))
        return parts.field, job

    def _submit(self, pieces: Iterable[bytes], parts: Callable[[Draft], P]) -> tuple[P, Job]:
        with self.submitting.open_draft(self.idempotency_key) as draft:
            taker = parts(draft)
            rules = FormRules(
                boundary=self.boundary,
                spool=self.spool,
                held_bytes=taker.held_bytes,
                part_limit=lambda part, head: draft.largest(part.name, head),
                digests=self.idempotency_key is not None,
                last_wins=self.last_wins,
            )
            fields = read_form(pieces, rules, take=taker.take)
            taker.finish(fields)
            fingerprint = _fingerprint({"files": taker.seen, "fields": fields})
            return taker, self.submitting.submit(draft, taker.options(fields), fingerprint=fingerprint)


@dataclass
class _Parts:
    """Puts the files of a form into a draft, and remembers what the form consisted of."""

    draft: Draft
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    file_fields: tuple[str, ...] = ("files", "masks")
    held_bytes: ClassVar[int] = 2**20  # of a file, while the rest of it comes

    def take(self, part: FilePart, data: BinaryIO) -> None:
        self.seen.append((part.field, part.name, part.sha256))
        self.store(part, data)

    def store(self, part: FilePart, data: BinaryIO) -> None:
        """Raises InvalidOptions for a field that takes no file."""
        raise NotImplementedError

    def finish(self, fields: Mapping[str, str]) -> None:
        """Raises InvalidOptions when a field that wants a file came as text."""
        for name in self.file_fields:
            if name in fields:
                raise InvalidOptions([FieldFault(name, f"must be a file with a name (curl: -F {name}=@path)")])

    def options(self, fields: dict[str, str]) -> JobOptions:
        """What the text fields say. Raises InvalidOptions."""
        return options_in(fields)

    def refuse(self, part: FilePart) -> NoReturn:
        known = ", ".join(self.file_fields)
        raise InvalidOptions([FieldFault(part.field, f"takes no file; fields for files are {known}")])


class _JobParts(_Parts):
    def store(self, part: FilePart, data: BinaryIO) -> None:
        if part.field == "files":
            self.draft.add_file(part.name, data, media_type=part.media_type)
        elif part.field == "masks":
            self.draft.add_mask(part.name, data)
        else:
            self.refuse(part)


class _OnePicture(_Parts):
    held_bytes: ClassVar[int] = 8 * 2**20  # a lone picture is not written down twice

    def __init__(self, draft: Draft, fields: Mapping[str, PictureField]) -> None:
        super().__init__(draft)
        self.file_fields = tuple(fields)
        self.field = ""  # that held the picture
        self._fields = fields

    def store(self, part: FilePart, data: BinaryIO) -> None:
        if part.field not in self._fields:
            self.refuse(part)
        unreadable = self._fields[part.field].unreadable
        self.field = part.field
        try:
            self._store(part, data)
        except (UnsupportedMedia, InvalidOptions) as error:
            if unreadable is None:
                raise
            raise unreadable(str(error)) from error

    def _store(self, part: FilePart, data: BinaryIO) -> None:
        if len(self.seen) > 1 or is_packed_file(part.name, data):
            raise InvalidOptions([FieldFault(part.field, "must be one picture; POST /jobs takes batches and archives")])
        self.draft.add_file(part.name, data, media_type=part.media_type)

    def finish(self, fields: Mapping[str, str]) -> None:
        super().finish(fields)
        if not self.seen:
            raise NoImages(f"the form has no field `{self.file_fields[0]}` with a picture in it")

    def options(self, fields: dict[str, str]) -> JobOptions:
        return self._fields[self.field].options(fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSubmission:
    """The JSON form: inputs that are named, and not sent along. samples: the ids there are."""

    submitting: Submitting
    references: References
    samples: AbstractSet[str]
    idempotency_key: str | None

    def submit(self, pieces: Iterable[bytes]) -> Job:
        """Raises BadRequest, InvalidOptions, TooManyImages."""
        limit = self.submitting.rules.max_images
        reader, masks = InputReader(self.samples, limit=limit), MaskReader(self.samples, limit=limit)
        digest = hashlib.sha256()

        def noted(take: Callable[[Any], None], mark: bytes) -> Callable[[Any], None]:
            def take_and_note(item: Any) -> None:
                take(item)
                digest.update(mark + _canonical(item))

            return take if self.idempotency_key is None else take_and_note

        try:
            lists = {"inputs": noted(reader.take, b""), "masks": noted(masks.take, b"mask ")}
            values = read_json(pieces, lists=lists)
            digest.update(_canonical(values))
            _check_lists(values)
            inputs, options = reader.inputs(), _named(parse_options(values))
        except RecursionError as error:
            raise BadRequest("the body is nested too deeply") from error
        with self.submitting.open_draft(self.idempotency_key) as draft:
            if draft.earlier is None:
                self.references.add(draft, self._without_manifests(inputs), masks.masks)
            return self.submitting.submit(draft, options, fingerprint=digest.hexdigest())

    def _without_manifests(self, inputs: Sequence[Given | Manifest]) -> list[Given]:
        """Each in the place of its manifest."""
        found: list[Given] = []
        for each in inputs:
            if not isinstance(each, Manifest):
                found.append(each)
                continue
            left = self.submitting.rules.max_images - len(found)
            reader = InputReader(self.samples, limit=left, at=each.at)
            reader.take_lines(self.references.lines(each.upload_id, at=each.at))
            for given in reader.inputs():
                if isinstance(given, Manifest):
                    raise InvalidOptions([FieldFault(given.at, "a manifest cannot name another")])
                found.append(given)
        return found


def options_in(fields: dict[str, str]) -> JobOptions:
    """Options by their own names, and all of them in `options`. Raises InvalidOptions."""
    options = fields.pop("options", None)
    return _named(parse_option_fields(fields, options=options))


def _named(options: JobOptions) -> JobOptions:
    """The models under one name each, however they were spelt. Raises InvalidOptions for one that is named twice."""
    if options.model is None:
        return options
    models = tuple(map(canonical, options.models))
    if len(set(models)) < len(models):
        raise InvalidOptions([FieldFault("models", "names a model more than once")])
    return replace(options, model=canonical(options.model), models=models)


def _check_lists(values: dict[str, Any]) -> None:
    """Takes them out of the options."""
    if values.get("inputs") is None:
        raise InvalidOptions([FieldFault("inputs", "is required in the JSON form")])
    for name in ("inputs", "masks"):
        if values.pop(name, None) not in ([], None):
            raise InvalidOptions([FieldFault(name, "must be a list")])


def _fingerprint(content: object) -> str:
    """Of what a request says, not of how its bytes were arranged."""
    return hashlib.sha256(_canonical(content)).hexdigest()


def _canonical(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
