"""Kombu's Redis transport, which makes a new client for every command; making one takes longer than most commands.

Nothing else differs. It goes by kombu's own names, by which Celery, Flower and TLS know what a URL means.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis


class Channel(redis.Channel):
    """Keeps its client for as long as it has the same connections."""

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()  # type: ignore[misc]
        return self._kept


class Transport(redis.Transport):
    Channel = Channel


def take_over() -> None:
    """From now on this process's connections are made with it."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
