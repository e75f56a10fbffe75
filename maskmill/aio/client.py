"""The same client, awaited: each call runs in a thread of the client's own, so there is one source for what is sent,
tried again and raised, and no event loop waits for a file or a server. A test holds the two to the same calls."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from maskmill.client import DEFAULT_SERVER, Content, Maskmill
from maskmill.download import OnReceived, unheard
from maskmill.handle import JobHandle, OnProgress, wait_timeout
from maskmill.image import Image
from maskmill.inputs import Given, Inputs
from maskmill.uploads.multipart import OnSent

if TYPE_CHECKING:
    from typing import Self  # Python 3.10 has none

    import pandas as pd

    from maskmill.films.filming import FilmFile

T = TypeVar("T")
_THREADS = 64  # calls at once, of one client; most of them wait for jobs, and fewer than httpx has connections
_GRACE_S = 1.0  # in which a call that waits in its thread sees by itself that its time is over
_END: Any = object()


class _Threads:
    """Where the calls of one client run."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="maskmill")

    async def run(self, function: Callable[..., T], *given: Any, **named: Any) -> T:
        """A call whose awaiter is canceled goes on to its end, and nobody hears of it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, functools.partial(function, *given, **named))

    async def each(self, walk: Iterator[T]) -> AsyncIterator[T]:
        while (item := await self.run(next, walk, _END)) is not _END:
            yield item

    def close(self) -> None:
        self._pool.shutdown(wait=False)


class AsyncJob:
    """A submitted job as last seen, see JobHandle. `seen` is that, for all that costs nothing."""

    def __init__(self, seen: JobHandle, threads: _Threads) -> None:
        self.seen = seen
        self._threads = threads

    def __repr__(self) -> str:
        return repr(self.seen).replace("JobHandle", "AsyncJob")

    def _repr_html_(self) -> str:
        return self.seen._repr_html_()

    @property
    def id(self) -> str:
        return self.seen.id

    @property
    def status(self) -> str:
        return self.seen.status

    @property
    def finished(self) -> bool:
        return self.seen.finished

    @property
    def counts(self) -> Mapping[str, int]:
        return self.seen.counts

    @property
    def total(self) -> int:
        return self.seen.total

    @property
    def finished_images(self) -> int:
        return self.seen.finished_images

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.seen.metrics

    @property
    def metrics_by_model(self) -> Mapping[str, Mapping[str, Any]]:
        return self.seen.metrics_by_model

    async def comparison(self, *, contested: int = 20) -> dict[str, Any]:
        return await self._threads.run(self.seen.comparison, contested=contested)

    async def refresh(self, *, wait_s: int | None = None) -> AsyncJob:
        await self._threads.run(self.seen.refresh, wait_s=wait_s)
        return self

    async def wait(self, *, timeout: float | None = None, on_progress: OnProgress | None = None) -> AsyncJob:  # noqa: ASYNC109
        """on_progress is called in a thread. A call that finds no thread free does not wait for longer, either."""
        waiting = self._threads.run(self.seen.wait, timeout=timeout, on_progress=on_progress)
        try:
            await asyncio.wait_for(waiting, None if timeout is None else timeout + _GRACE_S)
        except asyncio.TimeoutError:  # noqa: UP041 - in Python 3.10 it is another than TimeoutError
            raise wait_timeout(self.seen, timeout or 0.0) from None
        return self

    def images(self, *, timeout: float | None = None) -> AsyncIterator[Image]:
        return self._threads.each(self.seen.images(timeout=timeout))

    def stream(self, *, timeout: float | None = None) -> AsyncIterator[Image]:
        return self._threads.each(self.seen.stream(timeout=timeout))

    def rows(
        self, *, status: str | None = None, sort: str | None = None, limit: int | None = None, **where: str | None
    ) -> AsyncIterator[Image]:
        return self._threads.each(self.seen.rows(status=status, sort=sort, limit=limit, **where))

    async def results(self, *, timeout: float | None = None) -> list[Image]:  # noqa: ASYNC109
        await self.wait(timeout=timeout)
        return await self._threads.run(self.seen.results)

    async def to_pandas(self, *, timeout: float | None = None) -> pd.DataFrame:  # noqa: ASYNC109
        await self.wait(timeout=timeout)
        return await self._threads.run(self.seen.to_pandas)

    async def download(
        self,
        folder: str | Path,
        *,
        artifacts: str | Iterable[str] | None = None,
        keep_zip: bool = False,
        unpacked: bool = True,
        export: Mapping[str, Any] | None = None,
        on_received: OnReceived = unheard,
    ) -> Path:
        """on_received is called in a thread."""
        chosen = {"artifacts": artifacts, "keep_zip": keep_zip, "unpacked": unpacked, "export": export}
        return await self._threads.run(self.seen.download, folder, on_received=on_received, **chosen)

    async def film(
        self,
        out: str | Path = ".",
        *,
        of: str | None = None,
        artifact: str = "overlay",
        model: str | None = None,
        fps: float | None = None,
        on_frame: OnReceived = unheard,
    ) -> list[FilmFile]:
        """on_frame is called in a thread."""
        chosen = {"of": of, "artifact": artifact, "model": model, "fps": fps, "on_frame": on_frame}
        return await self._threads.run(self.seen.film, out, **chosen)

    async def correct(self, packed: BinaryIO, *, form: str | None = None) -> dict[str, Any]:
        return await self._threads.run(self.seen.correct, packed, form=form)

    def deliveries(self) -> AsyncIterator[dict[str, Any]]:
        return self._threads.each(self.seen.deliveries())

    async def cancel(self) -> AsyncJob:
        await self._threads.run(self.seen.cancel)
        return self

    async def retry(self) -> AsyncJob:
        await self._threads.run(self.seen.retry)
        return self

    async def delete(self) -> None:
        await self._threads.run(self.seen.delete)


class AsyncMaskmill:
    """A Maskmill server, see Maskmill. Of an image, fetch what is large with `await server.fetch(image, "mask")`."""

    def __init__(
        self, server: str = DEFAULT_SERVER, *, api_key: str | None = None, timeout: float = 30.0, patience: float = 10.0
    ) -> None:
        self._client = Maskmill(server, api_key=api_key, timeout=timeout, patience=patience)
        self._threads = _Threads()
        self.server = self._client.server

    async def submit(
        self,
        inputs: Given | Iterable[Given] | Inputs | AsyncJob,
        *,
        masks: Given | Iterable[Given] | None = None,
        idempotency_key: str | None = None,
        on_sent: OnSent | None = None,
        **options: Any,
    ) -> AsyncJob:
        """on_sent is called in a thread."""
        named = {"masks": masks, "idempotency_key": idempotency_key, "on_sent": on_sent, **options}
        given = inputs.seen if isinstance(inputs, AsyncJob) else inputs
        return self._job(await self._threads.run(self._client.submit, given, **named))

    async def job(self, job_id: str) -> AsyncJob:
        return self._job(await self._threads.run(self._client.job, job_id))

    async def jobs(
        self,
        *,
        status: str | None = None,
        model: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        **created: datetime | str | None,
    ) -> list[AsyncJob]:
        asked = {"status": status, "model": model, "metadata": metadata, "limit": limit, **created}
        found = await self._threads.run(self._client.jobs, **asked)
        return [self._job(each) for each in found]

    async def models(self) -> list[dict[str, Any]]:
        return await self._threads.run(self._client.models)

    async def label_space(self, name: str) -> dict[str, Any]:
        return await self._threads.run(self._client.label_space, name)

    async def limits(self) -> dict[str, Any]:
        return await self._threads.run(self._client.limits)

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        return await self._threads.run(self._client.get, path, **params)

    async def read(self, path: str, **params: Any) -> Content:
        return await self._threads.run(self._client.read, path, **params)

    async def fetch(self, image: Image, artifact: str, *, model: str | None = None) -> bytes:
        """The bytes of an artifact, see Image.read."""
        return await self._threads.run(image.read, artifact, model=model)

    async def correct(self, job_id: str, index: int, png: bytes) -> dict[str, Any]:
        return await self._threads.run(self._client.correct, job_id, index, png)

    async def ready(self) -> bool:
        return await self._threads.run(self._client.ready)

    async def predict(self, path: str | os.PathLike[str], *, artifact: str = "mask", **options: Any) -> bytes:
        return await self._threads.run(self._client.predict, path, artifact=artifact, **options)

    async def close(self) -> None:
        self._client.close()  # cheap, and may come again
        self._threads.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _job(self, seen: JobHandle) -> AsyncJob:
        return AsyncJob(seen, self._threads)
