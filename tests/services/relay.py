"""A wire between a client and a server that a test can freeze: both ends stay connected, and nothing comes through.

Or abandon, as a router does that forgets: what is connected hears nothing any more, and who connects anew is served.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Relay:
    def __init__(self, port: int | Callable[[], int]) -> None:
        """port: of the server; asked at each connection where it may change."""
        self._target = port
        self._era = 0
        self._never = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self.port = 0

    def freeze(self) -> None:
        self._loop.call_soon_threadsafe(self._flows.clear)

    def thaw(self) -> None:
        self._loop.call_soon_threadsafe(self._flows.set)

    def abandon(self) -> None:
        self._loop.call_soon_threadsafe(self._begin_era)

    def _begin_era(self) -> None:
        self._era += 1

    @contextmanager
    def running(self) -> Iterator[Relay]:
        started, over = threading.Event(), asyncio.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            await over.wait()
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        thread = threading.Thread(target=self._loop.run_until_complete, args=(serve(),))
        thread.start()
        started.wait(20)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(over.set)
            thread.join(20)
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = self._target if isinstance(self._target, int) else self._target()
        ends = [writer]
        with suppress(asyncio.CancelledError, OSError):
            there, back = await asyncio.open_connection("127.0.0.1", port)
            ends.append(back)
            await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        for each in ends:
            each.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        era, data = self._era, b"-"
        while data:
            data = await reader.read(65536)
            await self._flows.wait()
            if era != self._era:
                await self._never.wait()
            writer.write(data)
            await writer.drain()
        writer.close()
