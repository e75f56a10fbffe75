"""The transport that keeps its clients."""

from __future__ import annotations

from typing import Any

import pytest

from broker.app import make_app
from broker.settings import BrokerSettings
from broker.transport import Channel, Transport


def test_the_connections_of_our_apps_keep_their_client(valkey_url: str) -> None:
    with make_app(BrokerSettings(url=valkey_url)).connection_for_write() as connection:
        channel: Any = connection.default_channel
        assert isinstance(channel, Channel)
        with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
            assert first is second


def test_new_connections_get_a_new_client(valkey_url: str) -> None:
    with make_app(BrokerSettings(url=valkey_url)).connection_for_write() as connection:
        channel: Any = connection.default_channel
        with channel.conn_or_acquire() as before:
            channel._disconnect_pools()
            with channel.conn_or_acquire() as after:
                assert after is not before
                assert after.ping()


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_connection_still_goes_by_the_name_of_its_url(scheme: str) -> None:
    connection = make_app(BrokerSettings(url=f"{scheme}://:secret@host:1/0")).connection_for_write()
    assert connection.as_uri().startswith(f"{scheme}://")
    assert isinstance(connection.transport, Transport)


def test_what_is_left_of_a_lost_connection_is_an_error_that_workers_mend(valkey_url: str) -> None:
    connection = make_app(BrokerSettings(url=valkey_url)).connection_for_write()
    channel: Any = connection.default_channel
    connection.collect()
    with pytest.raises(connection.connection_errors), channel.conn_or_acquire():
        """What the worker does with a message that was in work when the broker died."""
