"""Kombu's Redis transport, which makes a new client for every command; making one takes longer than most commands.

When the broker dies, what still restores or acknowledges by the lost connection finds that it belongs to nobody, which
kombu tells by an AttributeError that ends the worker. Here a connection is lost, and the worker connects anew.
Nothing else differs. It goes by kombu's own names, by which Celery, Flower and TLS know what a URL means.
"""

from __future__ import annotations

from typing import Any

import redis.exceptions
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis


class Channel(kombu_redis.Channel):
    """Keeps its client for as long as it has the same connections."""

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()  # type: ignore[misc]
        return self._kept

    def _connparams(self, asynchronous: bool = False) -> Any:
        """Raises redis's ConnectionError, one that Celery knows how to mend, when the connection was given up."""
        connection: Any = self.connection  # None once the channel is closed, whatever kombu's types say
        if connection is None or connection.client is None:
            raise redis.exceptions.ConnectionError("the connection to the broker was lost and given up")
        return super()._connparams(asynchronous=asynchronous)  # type: ignore[misc]


class Transport(kombu_redis.Transport):
    Channel = Channel


def take_over() -> None:
    """From now on this process's connections are made with it."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
