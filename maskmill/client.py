"""The Python client: `Maskmill("http://127.0.0.1:8008").submit([...]).wait().download("out/")`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import httpx

from maskmill.errors import InvalidInput, Unavailable, Unprocessable, image_error
from maskmill.handle import JobHandle
from maskmill.inputs import Given, Inputs, sort_out, sort_out_masks, with_corrections
from maskmill.transport import Call, Transport, json_of, segment, takes_proxy
from maskmill.uploads.direct import DirectUploads, NotOffered, goes_direct
from maskmill.uploads.ledger import open_ledger
from maskmill.uploads.multipart import FilePart, MultipartBody, OnSent
from maskmill.webhooks import Webhooks

if TYPE_CHECKING:
    from typing import Self  # Python 3.10 has none

DEFAULT_SERVER = "http://127.0.0.1:8008"
READING_S = 600.0  # how long a server may think about an upload that it has received whole
_KEY = re.compile(r"[!-~]+")
_IDEMPOTENCY_KEY = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")
_ID = re.compile(r"[A-Za-z0-9_-]+")  # anything else would be another path
MEDIA_TYPES = {"mask": "image/png", "overlay": "image/jpeg", "polygons": "application/geo+json"}


@dataclass(frozen=True, slots=True)
class Content:
    data: bytes
    media_type: str


class Maskmill:
    """A Maskmill server. Cheap to make, safe to share between threads; close it, or use it in a `with` block.

    api_key: for a service that asks for one; None takes MASKMILL_API_KEY, where it is set.
    timeout: seconds that one answer may take; patience: seconds over which a call that found nobody, or a busy
    server, is tried again, counted from its first failure.
    """

    def __init__(
        self, server: str = DEFAULT_SERVER, *, api_key: str | None = None, timeout: float = 30.0, patience: float = 10.0
    ) -> None:
        headers = {"User-Agent": "maskmill-python"}
        if shown := (os.environ.get("MASKMILL_API_KEY", "") if api_key is None else api_key).strip():
            headers["Authorization"] = f"Bearer {_checked_key(shown)}"
        self.server = _checked_address(server)
        proxied = takes_proxy(self.server)
        try:
            http = httpx.Client(
                base_url=self.server, headers=headers, timeout=timeout, follow_redirects=True, trust_env=proxied
            )
        except ImportError as error:  # of what a SOCKS proxy needs
            raise InvalidInput(f"the proxy that the environment names cannot be used: {error}") from None
        self._transport = Transport(http=http, patience_s=patience)
        self.webhooks = Webhooks(self._transport)

    def submit(
        self,
        inputs: Given | Iterable[Given] | Inputs | JobHandle,
        *,
        masks: Given | Iterable[Given] | None = None,
        idempotency_key: str | None = None,
        on_sent: OnSent | None = None,
        **options: Any,
    ) -> JobHandle:
        """Submit images as one job.

        inputs: paths, folders (without results of jobs in them), globs and archives; or http(s) addresses and
        `{"sample": id}` inputs; or a job, whose inputs are taken once more with their names, refs and masks
        (`{"job": id, "status": "failed"}`: some of them).
        masks: ground truth for files, matched by relative path or by a name that is unique; for a job "corrected": what
        people corrected, in place of its own. options: model, models, artifacts, label_space, mask_label_space,
        mask_suffix, overlay, tile, priority, webhook, …; None means the server's own.
        More than 64 MiB, or a thousand files, go ahead of the job, several at a time, where the server takes them so;
        the same call after an interruption goes on with what has arrived.
        idempotency_key: 1 to 255 characters of ASCII; None: one of its own.
        Raises InvalidInput, APIError, ServerUnreachable. A request that broke off is sent again under the same
        idempotency key, so it never makes two jobs.
        """
        if isinstance(inputs, JobHandle):
            inputs = {"job": inputs.id}
        sorted_out = inputs if isinstance(inputs, Inputs) else sort_out(inputs)
        chosen = {name: _plain(value) for name, value in options.items() if value is not None}
        key = uuid.uuid4().hex if idempotency_key is None else _checked_idempotency_key(idempotency_key)
        if sorted_out.remote:
            named = sorted_out if masks is None else with_corrections(sorted_out, masks)
            return self._post_inputs(named, chosen, key)
        parts = [FilePart.of("files", file.path, file.name) for file in sorted_out.files]
        if masks is not None:
            parts += [FilePart.of("masks", file.path, file.name) for file in sort_out_masks(masks)]
        if goes_direct(parts):
            with contextlib.suppress(NotOffered):
                return self._post_uploads(parts, chosen, idempotency_key, on_sent)
        return self._post_files(parts, chosen, key, on_sent)

    def job(self, job_id: str) -> JobHandle:
        """Raises NotFound, and InvalidInput for what can be no id."""
        if not _ID.fullmatch(job_id):
            raise InvalidInput(f"{job_id!r} is not the id of a job; ids look like job_01JD3T1M4Z8Q5R6S7T8V9WAXBY")
        return JobHandle(self._transport, self._transport.send(Call(method="GET", path=f"/jobs/{job_id}")))

    def jobs(
        self,
        *,
        status: str | None = None,
        model: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        **created: datetime | str | None,
    ) -> list[JobHandle]:
        """Newest first; `limit` None: all of them. metadata: values that their own has. created: `created_after=` (then
        or later), `created_before=`; a time without a zone is local time."""
        asked = {"status": status, "model": model, **_metadata_asked(metadata or {}), **_times_asked(created)}
        if limit is not None and limit < 0:
            raise InvalidInput(f"limit is a number of jobs, not {limit}")
        rows = self._transport.rows("/jobs", {**asked, "limit": min(limit or 200, 200)})
        return [JobHandle(self._transport, row) for row in islice(rows, limit)]

    def models(self) -> list[dict[str, Any]]:
        return list(self._transport.rows("/models", {}))

    def label_space(self, name: str) -> dict[str, Any]:
        """A published one, or one that a model brings along: its classes with ids and colours. Raises NotFound."""
        return self.get(f"/label-spaces/{segment(name)}")

    def limits(self) -> dict[str, Any]:
        return self.get("/limits")

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """What any reading call of the service answers in JSON, one page of a list. Raises APIError."""
        return self._transport.json(Call(method="GET", path=path, params=params))

    def read(self, path: str, **params: Any) -> Content:
        """What any reading call of the service answers, as bytes. Raises APIError."""
        response = self._transport.send(Call(method="GET", path=path, params=params))
        return Content(response.content, response.headers.get("content-type", "application/octet-stream"))

    @contextlib.contextmanager
    def streamed(self, path: str, **params: Any) -> Iterator[httpx.Response]:
        """The same, with its body still to be read: for what is too large to hold. Raises APIError."""
        with self._transport.stream(Call(method="GET", path=path, params=params)) as response:
            yield response

    def correct(self, job_id: str, index: int, png: bytes) -> dict[str, Any]:
        """Save a PNG of class ids, as large as the picture, as what image `index` really shows. Raises APIError."""
        path, headers = f"/jobs/{segment(job_id)}/images/{index}/correction", {"Content-Type": "image/png"}
        return self._transport.json(Call(method="PUT", path=path, headers=headers, content=png))

    def ready(self) -> bool:
        """Whether the server and all its parts could take and work a job now. Raises ServerUnreachable."""
        try:
            json_of(self._transport.send(Call(method="GET", path="/ready"), patience_s=0.0), ("status",))
        except Unavailable:
            return False
        return True

    def predict(self, path: str | os.PathLike[str], *, artifact: str = "mask", **options: Any) -> bytes:
        """One picture, at once: its mask (PNG), overlay (JPEG) or polygons (GeoJSON).

        Raises as submit does, and APIError with the code of the image where it failed, however long it took.
        """
        if artifact not in MEDIA_TYPES:
            raise InvalidInput(f"predict gives one of {', '.join(MEDIA_TYPES)}, not {artifact!r}")
        fields = _option_fields({name: _plain(value) for name, value in options.items()})
        body = MultipartBody(fields=fields, files=[FilePart.of("file", Path(path))])
        headers = {"Content-Type": body.media_type, "Content-Length": str(body.length), "Accept": MEDIA_TYPES[artifact]}
        call = Call(
            method="POST", path="/predict", headers=headers, content=body, repeatable=False, read_timeout_s=READING_S
        )
        response = self._transport.send(call)
        if response.status_code != 202:
            if _media_type(response) == "application/json":  # the row of an image that was canceled
                raise image_error(json_of(response, ("name",)))
            if _media_type(response) != MEDIA_TYPES[artifact]:
                json_of(response)
            return response.content
        image = next(iter(JobHandle(self._transport, response).wait().images()))
        if image.status != "succeeded":
            raise image_error(image.row)
        return image.read(artifact)

    def close(self) -> None:
        self._transport.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _post_files(
        self, parts: Sequence[FilePart], options: Mapping[str, Any], key: str, on_sent: OnSent | None
    ) -> JobHandle:
        fields = _option_fields(options)
        body = MultipartBody(fields=fields, files=parts, boundary=_boundary_of(key), on_sent=on_sent)
        headers = {"Content-Type": body.media_type, "Content-Length": str(body.length)}
        return self._post(Call(method="POST", path="/jobs", headers=headers, content=body), key)

    def _post_uploads(
        self, parts: Sequence[FilePart], options: Mapping[str, Any], key: str | None, on_sent: OnSent | None
    ) -> JobHandle:
        """Files first, then the job of them. Raises NotOffered, and what is noted in the ledger stays."""
        ledger = open_ledger(self.server, parts, options, key=key)
        arrived_before = bool(ledger.stored)
        try:
            ids = DirectUploads(self._transport, parts, ledger, on_sent).send()
            named: dict[str, list[dict[str, str]]] = {"inputs": [], "masks": []}
            for part, upload in zip(parts, ids, strict=True):
                named["masks" if part.field == "masks" else "inputs"].append({"upload": upload})
            body = {name: listed for name, listed in named.items() if listed}
            job = self._post(Call(method="POST", path="/jobs", json={**body, **options}), ledger.key)
        except Unprocessable as error:
            if not _are_gone(error):
                raise  # what has arrived serves the next try
            ledger.forget()
            if not arrived_before:
                raise
            return self._post_uploads(parts, options, key, on_sent)  # long ago, or with another key: sent anew
        finally:
            ledger.close()
        ledger.forget()
        return job

    def _post_inputs(self, inputs: Inputs, options: Mapping[str, Any], key: str) -> JobHandle:
        return self._post(Call(method="POST", path="/jobs", json={"inputs": list(inputs.remote), **options}), key)

    def _post(self, call: Call, key: str) -> JobHandle:
        """A request that broke off may still be read by the server: then its answer is awaited, not doubled."""
        headers = {**call.headers, "Idempotency-Key": key}
        keyed = replace(call, headers=headers, read_timeout_s=READING_S, again_on=("idempotency_in_progress",))
        return JobHandle(self._transport, self._transport.send(keyed))


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0]


def _option_fields(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Raises InvalidInput for values that JSON does not have."""
    try:
        return [("options", json.dumps(options))] if options else []
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"options are what JSON can say: {error}") from error


def _are_gone(error: Unprocessable) -> bool:
    """Whether uploads that a job names are not what they were, or have expired."""
    fields = [str(each.get("field")) for each in error.errors]
    return any(field == "inputs" or field.endswith(".upload") for field in fields)


def _metadata_asked(metadata: Mapping[str, Any]) -> dict[str, str]:
    """As query parameters: a text as it is, anything else as JSON has it."""
    try:
        return {
            f"metadata.{name}": value if isinstance(value, str) else json.dumps(value)
            for name, value in metadata.items()
        }
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"metadata is what JSON can say: {error}") from error


def _times_asked(times: Mapping[str, datetime | str | None]) -> dict[str, str | None]:
    """Raises InvalidInput for a text that is no time."""
    try:
        read = {name: _time(each) if isinstance(each, str) else each for name, each in times.items()}
        return {name: None if each is None else each.astimezone().isoformat() for name, each in read.items()}
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"times are written like 2026-11-30 or 2026-11-30T08:00:00Z: {error}") from error


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # noqa: FURB162 Python 3.10 knows no Z


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value


def _checked_key(key: str) -> str:
    """Never told in an error."""
    if not _KEY.fullmatch(key):
        raise InvalidInput("what is given as the API key is none: mm_… has letters, digits, - and _ alone")
    return key


def _checked_idempotency_key(key: str) -> str:
    """As a header carries it; an empty one would be none, and the same call a second job."""
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        said = "has 1 to 255 letters, digits and signs of ASCII, and no space at either end"
        raise InvalidInput(f"an idempotency key {said}, not {key[:60]!r}")
    return key


def _boundary_of(key: str) -> str:
    """The same for the same key: what is sent again is the same bytes."""
    return f"maskmill-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _checked_address(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise InvalidInput(f"{text!r} is not the address of a server: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidInput(f"{text!r} is not the address of a server; write it like {DEFAULT_SERVER}")
    if url.query or url.fragment:
        raise InvalidInput(f"{text!r} is more than the address of a server; write it like {DEFAULT_SERVER}")
    return text.rstrip("/")
