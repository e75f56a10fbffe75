"""A job as a client holds it: its state as last seen, and what can be asked of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import httpx

from maskmill.download import OnReceived, alone_in, check_place, fetch_archive, keep_apart, unheard, unpack
from maskmill.errors import APIError, NotFound, ServerUnreachable, WaitTimeout
from maskmill.image import FINISHED, OUTAGE_S, PAGE, FinishedImages, Image
from maskmill.notebooks.shown import job_html, table_of
from maskmill.transport import BUSY, LEAST_S, SILENCE_S, Call, Event, Events, FileContent, Transport, json_of

if TYPE_CHECKING:
    import pandas as pd

    from maskmill.films.filming import FilmFile

LONG_POLL_S = 20  # the contract allows 60; short enough for proxies
SHORTEST_POLL_S = 0.2
LOOKING_S = 600.0  # for hundreds of thousands of files in a store that is reached by network
CORRECTIONS_S = 3600.0  # a large batch is read while we wait

OnProgress = Callable[["JobHandle"], None]


class JobHandle:
    """A submitted job as last seen. Properties cost nothing; methods talk to the server."""

    def __init__(self, transport: Transport, seen: httpx.Response | Mapping[str, Any]) -> None:
        self._transport = transport
        self._etag: str | None = None
        self.state: Mapping[str, Any] = {}
        self._take(seen)

    def __repr__(self) -> str:
        return f"<JobHandle {self.id} {self.status} {self.finished_images}/{self.total}>"

    def _repr_html_(self) -> str:
        return job_html(self)

    @property
    def id(self) -> str:
        return str(self.state["id"])

    @property
    def status(self) -> str:
        return str(self.state["status"])

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    @property
    def counts(self) -> Mapping[str, int]:
        """Images by status, and `total`."""
        counts: Mapping[str, int] = self.state["images"]
        return counts

    @property
    def total(self) -> int:
        return self.counts["total"]

    @property
    def finished_images(self) -> int:
        return sum(self.counts.get(status, 0) for status in ("succeeded", "failed", "canceled"))

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.state.get("metrics") or {}

    @property
    def metrics_by_model(self) -> Mapping[str, Mapping[str, Any]]:
        """Of each of the job's models; with one model `metrics` under its name."""
        results = self.state.get("results") or {str(self.state.get("model", "")): {"metrics": self.metrics}}
        return {name: each.get("metrics") or {} for name, each in results.items()}

    def comparison(self, *, contested: int = 20) -> dict[str, Any]:
        """How far the job's models agree, and with ground truth who is right; the `contested` most contested images.

        Raises Conflict for a job with one model.
        """
        call = Call(method="GET", path=self._path("comparison"), params={"contested": contested})
        return self._transport.json(call)

    def refresh(self, *, wait_s: int | None = None) -> JobHandle:
        """Look again. wait_s: the server holds its answer until the job changes, for so many seconds at most."""
        return self._look(wait_s)

    def _look(self, wait_s: int | None, within_s: float | None = None) -> JobHandle:
        headers = {} if self._etag is None else {"If-None-Match": self._etag}
        timeout = None if wait_s is None else wait_s + 15.0
        call = Call(
            method="GET",
            path=self._path(),
            params={"wait": wait_s},
            headers=headers,
            read_timeout_s=timeout,
            within_s=within_s,
        )
        response = self._transport.send(call, patience_s=OUTAGE_S if wait_s else None)
        if response.status_code != 304:
            self._take(response)
        return self

    def wait(self, *, timeout: float | None = None, on_progress: OnProgress | None = None) -> JobHandle:
        """Until the job has ended, however it ended. on_progress is called after every look.

        Raises WaitTimeout after `timeout` seconds, whether the server answers or not; the job goes on.
        """
        told = on_progress or (lambda job: None)
        told(self)
        patience = _Patience(timeout)
        if not self.finished:
            for event in self._events(patience, only_job=True):
                if event.kind == "job":
                    told(self)
        for _ in self._looks(patience):
            told(self)
        return self

    def images(self, *, timeout: float | None = None) -> Iterator[Image]:
        """Finished images (succeeded, failed, canceled) as they finish, each once; ends with the job.

        Of a job that was last seen finished, in input order.
        """
        patience = _Patience(timeout)
        reading = FinishedImages(self._transport, self._path("images"), lambda: patience.left_s)
        if self.finished:
            yield from reading.new(to_the_end=True)
            return
        for event in self._events(patience, only_job=False):
            if event.kind == "image":
                yield from reading.told(event.data)
            elif _is_last(event):
                return
        with patience.limiting(self):
            yield from reading.new(to_the_end=(ended := self.finished))
        for _ in self._looks(patience):
            with patience.limiting(self):
                yield from reading.new(to_the_end=(ended := self.finished))
        if not ended:  # somebody looked at the job while an image was used
            yield from reading.new(to_the_end=True)

    def stream(self, *, timeout: float | None = None) -> Iterator[Image]:
        """`images`, by the name that says what it does: `for image in job.stream(): …`."""
        return self.images(timeout=timeout)

    def to_pandas(self, *, timeout: float | None = None) -> pd.DataFrame:
        """All images once the job has ended, a row each, of several models a row for each (`asked_model`), with columns
        as in `metrics.csv`. Raises InvalidInput without pandas."""
        images = self.results(timeout=timeout)
        of_films = (self.state.get("options") or {}).get("every") is not None
        table: pd.DataFrame = table_of(images, models=self.state.get("models") or (), of_films=of_films)
        return table

    def rows(
        self, *, status: str | None = None, sort: str | None = None, limit: int | None = None, **where: str | None
    ) -> Iterator[Image]:
        """Images as they stand now, finished or not; in input order, or the worst first by `confidence`, `miou` or
        `disagreement`. where: `ref`, `name` (how it begins), `warning` and `error` (their codes)."""
        left, cursor = limit, None
        while left is None or left > 0:
            params = {"status": status, "sort": sort, **where, "limit": min(left or PAGE, PAGE), "cursor": cursor}
            call = Call(method="GET", path=self._path("images"), params=params)
            page = self._transport.json(call, holds=("items",))
            items = page["items"][:left]
            yield from (Image(row, self._path("images"), self._transport) for row in items)
            left = None if left is None else left - len(items)
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def results(self, *, timeout: float | None = None) -> list[Image]:
        """All images in input order, once the job has ended."""
        self.wait(timeout=timeout)
        reading = FinishedImages(self._transport, self._path("images"))
        return sorted(reading.new(to_the_end=True), key=lambda image: image.index)

    def download(
        self,
        folder: str | Path,
        *,
        artifacts: str | Iterable[str] | None = None,
        keep_zip: bool = False,
        unpacked: bool = True,
        export: Mapping[str, Any] | None = None,
        on_received: OnReceived = unheard,
    ) -> Path:
        """Waits for the end, fetches the archive and unpacks it into `folder`; returns the folder.

        The archive streams to disk and goes on where a broken connection, or an earlier call, left it.
        keep_zip: leave `<job id>.zip` beside the unpacked files. unpacked False: the ZIP alone; returns its path.
        artifacts: names, also with commas between them; None for all. export: what else `GET /jobs/{id}/archive`
        takes: {"export": "cvat"} for an annotation tool, {"without_lost": True} to leave out what the service has lost.
        on_received is called with the bytes so far, and those of the whole or None.
        Raises DownloadBroken, Conflict, and InvalidInput for a folder that cannot be written, into which another
        download is going on, that holds another job's results, or masks that were changed since they came.
        """
        folder = Path(folder)
        check_place(folder)
        if unpacked:
            keep_apart(folder, self.id)
        self.wait()
        named = artifacts if artifacts is None or isinstance(artifacts, str) else ",".join(artifacts)
        params = {"artifacts": named, **(export or {})}
        patience_s = LOOKING_S if "without_lost" in params else None  # it looks for each file before it answers
        call = Call(method="GET", path=self._path("archive"), params=params, read_timeout_s=patience_s)
        with alone_in(folder, self.id, unpacks=unpacked):
            if unpacked:
                keep_apart(folder, self.id)  # once more: another's may have come meanwhile
            archive = fetch_archive(self._transport, call, folder / f"{self.id}.zip", on_received)
            if not unpacked:
                return archive
            try:
                unpack(archive, folder, self.id)
            finally:
                if not keep_zip:
                    archive.unlink()
        return folder

    def film(
        self,
        out: str | Path = ".",
        *,
        of: str | None = None,
        artifact: str = "overlay",
        model: str | None = None,
        fps: float | None = None,
        on_frame: OnReceived = unheard,
    ) -> list[FilmFile]:
        """Waits for the end, and writes a film of the overlays of each film that was submitted, or of each folder of
        pictures. out: a file (.mp4, .m4v, .mov, .mkv), whose place it takes once it is whole; or a folder, in which
        they are called drive-overlay.mp4.

        of: one of them, `drive.mp4` or a folder. artifact: any that is a picture; `input` is the picture itself. model:
        whose, of a job with several; else the first one's. fps: frames per second, from 0.01 to 240; None: each frame
        is shown when it was in its film. An image without a result shows the plain picture in a film of overlays, else
        the frame before it, and is named in `missing`. on_frame is called with the frames so far, and those of all.
        Raises InvalidInput without PyAV and Pillow, for a place that cannot be written, a film that there is not, and
        where nothing tells when an image is shown.
        """
        from maskmill.films.filming import Asked, write_films

        asked = Asked(out=Path(out), of=of, artifact=artifact, model=model, fps=fps)
        return write_films(self.wait(), asked, on_frame)

    def correct(self, packed: BinaryIO, *, form: str | None = None) -> dict[str, Any]:
        """Corrections as a ZIP file, of masks or of what an annotation tool exported. Returns what was made of them.
        form: how to read it; else by what is in it."""
        call = Call(
            method="POST",
            path=self._path("corrections"),
            params={"format": form},
            headers={"Content-Type": "application/zip", "Content-Length": str(packed.seek(0, 2))},
            content=FileContent(packed),
            read_timeout_s=CORRECTIONS_S,
        )
        return self._transport.json(call)

    def deliveries(self) -> Iterator[dict[str, Any]]:
        """Webhooks that were sent of this job or are owed still, in order, with their attempts."""
        return self._transport.rows(self._path("deliveries"), {"limit": PAGE})

    def cancel(self) -> JobHandle:
        """Queued images are canceled at once, running ones within seconds; a job that has ended stays as it is."""
        return self._take(self._transport.send(Call(method="POST", path=self._path("cancel"))))

    def retry(self) -> JobHandle:
        """The failed images of an ended job, once more. Raises Conflict when none failed."""
        return self._take(self._transport.send(Call(method="POST", path=self._path("retry"), repeatable=False)))

    def delete(self) -> None:
        """Rows and objects are gone afterwards. Raises Conflict while the job runs."""
        with contextlib.suppress(NotFound):  # it is gone, which is what was asked for
            self._transport.send(Call(method="DELETE", path=self._path()))

    def _events(self, patience: _Patience, *, only_job: bool) -> Iterator[Event]:
        """To the last of the job, over as many connections as it takes; fewer where no stream comes through."""
        if "events" not in self.state.get("links", {}):
            return  # an older server
        events, heard = Events(self._transport, self._path("events"), only_job=only_job), True
        while heard:
            heard = False
            silence_s = patience.at_most(SILENCE_S)
            for event in events.read(silence_s=silence_s):
                heard = True
                if event.kind == "job":
                    self._take(event.data)
                yield event
                if _is_last(event):
                    return
                patience.check(self)
                if patience.at_most(silence_s) < silence_s / 2:
                    break  # the next connection is given less: a server that falls silent now would outlast us
            patience.check(self)

    def _looks(self, patience: _Patience) -> Iterator[None]:
        """One step after each look at a job that has not ended; the last one sees it finished."""
        while not self.finished:
            patience.check(self)
            started = time.monotonic()
            with patience.limiting(self):
                self._look(max(1, int(patience.at_most(LONG_POLL_S))), patience.left_s)
            yield
            if not self.finished:
                time.sleep(max(0.0, SHORTEST_POLL_S - (time.monotonic() - started)))

    def _path(self, tail: str = "") -> str:
        return f"/jobs/{self.id}" + (f"/{tail}" if tail else "")

    def _take(self, seen: httpx.Response | Mapping[str, Any]) -> JobHandle:
        if isinstance(seen, httpx.Response):
            self._etag = seen.headers.get("etag")
            self.state = json_of(seen, ("id", "status", "images"))
        else:
            self.state = seen
        return self


def _is_last(event: Event) -> bool:
    """What the stream itself says: who looks at the job meanwhile may know of its end before the last images came."""
    return event.kind == "job" and event.data["status"] in FINISHED


class _Patience:
    """How long somebody waits for the end of a job."""

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s

    @property
    def left_s(self) -> float | None:
        return None if self._deadline is None else max(LEAST_S, self._deadline - time.monotonic())

    def at_most(self, seconds: float) -> float:
        left_s = self.left_s
        return seconds if left_s is None else min(seconds, left_s)

    @contextlib.contextmanager
    def limiting(self, job: JobHandle) -> Iterator[None]:
        """A server that does not answer to the end is a wait without success. Raises WaitTimeout."""
        try:
            yield
        except ServerUnreachable:
            self.check(job)
            raise
        except APIError as error:
            if error.status in BUSY:
                self.check(job)
            raise

    def check(self, job: JobHandle) -> None:
        """Raises WaitTimeout."""
        if self._deadline is not None and not job.finished and time.monotonic() >= self._deadline:
            raise wait_timeout(job, self._timeout_s or 0.0)


def wait_timeout(job: JobHandle, timeout_s: float) -> WaitTimeout:
    said = f"{job.id} had not ended after {timeout_s:g} s ({job.finished_images}/{job.total})"
    return WaitTimeout(said, job.id)
