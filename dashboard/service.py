"""The service that this process shows: one client for all sessions and routes."""

from __future__ import annotations

from dashboard.settings import DashboardSettings
from maskmill import Maskmill

_CONNECTED: dict[str, Maskmill] = {}
PATIENCE_S = 3.0  # somebody sits before the page: an error that says so is better than a minute of silence


def connect(settings: DashboardSettings) -> Maskmill:
    """Once, before the first page is shown."""
    key = None if settings.api_key is None else settings.api_key.get_secret_value() or None
    server = Maskmill(settings.server, api_key=key, patience=PATIENCE_S)
    disconnect()
    _CONNECTED["server"] = server
    return server


def disconnect() -> None:
    if (server := _CONNECTED.pop("server", None)) is not None:
        server.close()


def service() -> Maskmill:
    return _CONNECTED["server"]
