"""The service of a house behind a real port: a test client hands over an answer only when it is whole."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from api.main import create_app
from tests.plain_http import NO_TLS
from tests.unit.api.house import House

SOON_S = 60


@contextmanager
def serving(house: House, app: FastAPI | None = None, **config: Any) -> Iterator[httpx.Client]:
    """The service behind a real port, since a test client hands over an answer only when it is whole.

    config: uvicorn's.
    """
    app = app or create_app(lambda: nullcontext(house.services()))
    server = uvicorn.Server(uvicorn.Config(app, **{"log_level": "critical", "ws": "none", **config}))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            with httpx.Client(base_url=address, timeout=SOON_S, verify=NO_TLS) as http:
                yield http
        finally:
            server.should_exit = True
            thread.join(SOON_S)
