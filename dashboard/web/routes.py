"""The routes. Each reads from the service with the page's own key; one writes: a correction."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from dashboard.frame import POLICY
from dashboard.screens import FIRST
from dashboard.settings import DashboardSettings
from dashboard.web.pictures import thumbnail, with_ids_for_colours
from dashboard.web.rows import page_of_cards
from maskmill import APIError, Maskmill, MaskmillError
from maskmill.client import Content

JOB = re.compile(r"job_[0-9A-Za-z]{1,40}")
NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
FRESH_S = 3600
THUMBNAILS = 2048  # kept in memory, about 10 kB each
CORRECTION_BYTES = 64 * 2**20
EXPORTING = ("export", "instances", "pictures", "corrected")
GUARDED = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A page whose script may run: of no origin, asking nobody for anything, and framed by this page alone.
FRAMED = {
    **GUARDED,
    "Content-Security-Policy": f"sandbox allow-scripts; {POLICY}; frame-ancestors 'self'",
    "Content-Disposition": 'inline; filename="comparison.html"',
    "Cache-Control": "private, no-cache",  # a correction changes it
}
CACHED = {**GUARDED, "Cache-Control": f"private, max-age={FRESH_S}"}

Answer = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Guard:
    """Pages of other sites, and names that lead here by somebody else's DNS, are answered with 403."""

    hosts: frozenset[str]

    def refuses(self, request: Request) -> bool:
        host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
        site = request.headers.get("sec-fetch-site", "same-origin")
        return (host not in self.hosts and "*" not in self.hosts) or site not in ("same-origin", "none")

    def around(self, answer: Answer) -> Answer:
        def guarded(request: Request) -> Response:
            if self.refuses(request):
                return JSONResponse({"code": "forbidden"}, 403)
            try:
                return answer(request)
            except APIError as error:
                return JSONResponse({"code": error.code, "detail": error.detail}, error.status)
            except MaskmillError as error:
                return JSONResponse({"code": "unreachable", "detail": str(error)}, 502)

        return guarded


def routes(server: Maskmill, settings: DashboardSettings) -> list[Route]:
    guard = Guard(frozenset(settings.allowed_hosts))
    reading = _Reading(server)
    images = "/pictures/jobs/{job}/{index:int}"
    return [
        Route(images + "/{artifact}", guard.around(reading.artifact)),
        Route("/pictures/samples/{sample}/{kind}", guard.around(reading.sample)),
        Route("/rows/{job}", guard.around(reading.rows)),
        Route("/archives/{job}", guard.around(reading.archive)),
        Route("/comparisons/{job}", guard.around(reading.comparison)),
        Route("/corrections/{job}/{index:int}", _saving(server, guard), methods=["PUT"]),
        Route(f"/{FIRST}", _to_first),
    ]


class _Reading:
    def __init__(self, server: Maskmill) -> None:
        self._server = server
        self._thumbnail = lru_cache(maxsize=THUMBNAILS)(self._small)

    def artifact(self, request: Request) -> Response:
        """`?as=ids`: a mask with ids for colours; `?as=thumbnail`: small, kept."""
        job, artifact = _job(request), request.path_params["artifact"]
        if not NAME.fullmatch(artifact):
            return _nothing()
        path = f"/jobs/{job}/images/{request.path_params['index']}/{artifact}"
        wanted = request.query_params.get("as")
        changes = artifact == "correction"  # until another takes its place
        headers = {**CACHED, "Cache-Control": "private, no-cache"} if changes else CACHED
        told = {name: request.query_params.get(name) for name in ("model", "version")}  # the latter of a correction
        if wanted == "thumbnail":
            small = (self._small if changes else self._thumbnail)(path, **told)
            return _nothing() if small is None else Response(small, media_type="image/jpeg", headers=headers)
        return _content(self._server.read(path, **told), as_ids=wanted == "ids", headers=headers)

    def sample(self, request: Request) -> Response:
        sample, kind = request.path_params["sample"], request.path_params["kind"]
        if kind not in ("image", "mask") or not NAME.fullmatch(sample):
            return _nothing()
        path = f"/samples/{quote(sample)}/{kind}"
        if request.query_params.get("as") == "thumbnail":
            small = self._thumbnail(path)
            return _nothing() if small is None else Response(small, media_type="image/jpeg", headers=CACHED)
        space = request.query_params.get("label_space") if kind == "mask" else None
        content = self._server.read(path, label_space=space)
        return _content(content, as_ids=request.query_params.get("as") == "ids", headers=CACHED)

    def rows(self, request: Request) -> Response:
        answer = page_of_cards(self._server, _job(request), request.query_params)
        return JSONResponse(answer, headers={**GUARDED, "Cache-Control": "no-store"})

    def archive(self, request: Request) -> Response:
        """Through this process in pieces; a refusal comes before the first of them. `?export=NAME`: for that tool."""
        job, export = _job(request), request.query_params.get("export")
        if export is not None and not NAME.fullmatch(export):
            return _nothing()
        chosen = {name: request.query_params[name] for name in EXPORTING if name in request.query_params}
        pieces = self._pieces(f"/jobs/{job}/archive", chosen)
        length = next(pieces).decode()
        name = job if export is None else f"{job}_{export}"
        headers = {**GUARDED, "Content-Disposition": f'attachment; filename="{name}.zip"'}
        if length:
            headers["Content-Length"] = length
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)

    def comparison(self, request: Request) -> Response:
        """The page of a finished job of several models, out of an archive of nothing else."""
        packed = self._server.read(f"/jobs/{_job(request)}/archive", artifacts="comparison")
        with zipfile.ZipFile(io.BytesIO(packed.data)) as archive:
            page = archive.read("comparison.html")
        return Response(page, media_type="text/html; charset=utf-8", headers=FRAMED)

    def _pieces(self, path: str, params: Mapping[str, str]) -> Iterator[bytes]:
        with self._server.streamed(path, **params) as response:
            yield response.headers.get("content-length", "").encode()
            yield from response.iter_raw()

    def _small(self, path: str, **told: str | None) -> bytes | None:
        return thumbnail(self._server.read(path, **told).data)


def _to_first(request: Request) -> Response:
    """Streamlit knows its first page by no name, and one that types it like the others' would find nothing."""
    query = request.url.query
    return RedirectResponse(f"./?{query}" if query else "./")


def _saving(server: Maskmill, guard: Guard) -> Callable[[Request], object]:
    async def save(request: Request) -> Response:
        """A correction, as the viewer draws it. A form of another site cannot send this header."""
        length = request.headers.get("content-length", "")
        if guard.refuses(request) or request.headers.get("x-maskmill") != "correction":
            return JSONResponse({"code": "forbidden"}, 403)
        if not length.isdecimal() or int(length) > CORRECTION_BYTES:
            return JSONResponse({"code": "too_large"}, 413)
        data = await request.body()

        def sent(asked: Request) -> Response:
            return JSONResponse(server.correct(_job(asked), asked.path_params["index"], data))

        return await run_in_threadpool(guard.around(sent), request)

    return save


def _content(content: Content, *, as_ids: bool, headers: dict[str, str]) -> Response:
    data = with_ids_for_colours(content.data) if as_ids else content.data
    return Response(data, media_type=content.media_type, headers=headers)


def _job(request: Request) -> str:
    """Raises MaskmillError for what is no id of a job: it is never a path."""
    job: str = request.path_params["job"]
    if not JOB.fullmatch(job):
        raise MaskmillError(f"{job!r} is not the id of a job")
    return job


def _nothing() -> Response:
    return JSONResponse({"code": "not_found"}, 404)
