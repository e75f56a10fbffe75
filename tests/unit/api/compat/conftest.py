"""A service that also answers clients of before, and whose worker does everything the moment it is sent."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from api.services import Services
from api.settings import ApiSettings
from jobs.job import Slice
from tests.factories import make_card, picture
from tests.fakes import FakeCatalog
from tests.unit.api.house import LOCAL, House

OLD_NAMES = {"deeplab": "tiny", "mask2former": "other", "dilatednet": "tiny", "retired": "gone"}


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path, ApiSettings(compat_models=OLD_NAMES, compat_wait_s=5))
    house.catalog = FakeCatalog([make_card("tiny"), make_card("other")])
    for name in ("crossing", "market"):  # which a worker of the real service finds by itself
        house.objects.put(name, picture(), media_type="image/jpeg")
    return house


@pytest.fixture
def works(house: House) -> House:
    """A worker that is never late."""
    send = house.dispatcher.dispatch

    def send_and_work(pieces: Iterable[Slice]) -> None:
        send(pieces)
        house.work()

    house.dispatcher.dispatch = send_and_work  # type: ignore[method-assign]
    return house


@pytest.fixture
def old(house: House):
    """A client of a service whose worker has not come to work yet, unless the test asks for `works`."""

    def services() -> AbstractContextManager[Services]:
        return nullcontext(house.services())

    app = create_app(services, compat=True)
    with TestClient(app, base_url=LOCAL, raise_server_exceptions=False) as client:
        yield client
