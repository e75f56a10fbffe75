"""The service in memory, and jobs that several screens show."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from streamlit.components.v2 import manifest_scanner

from dashboard.service import connect, disconnect
from dashboard.settings import DashboardSettings
from segmentation.variant import Variant
from tests.factories import make_card, picture
from tests.fakes import FakeCatalog
from tests.unit.api.house import House
from tests.unit.api.live import serving
from tests.unit.dashboard.pages import Open

FAST = Variant(precision="fp32", engine="openvino", file="model.onnx", bytes=10, images_per_s=20.0, miou=0.5)
SCORED = make_card("other", scores={"miou": 0.5, "pixel_accuracy": 0.75}, variants=(FAST,))


@pytest.fixture(scope="package", autouse=True)
def components_are_looked_for_once() -> Iterator[None]:
    """Streamlit reads what each installed package says of itself, at each run of a page that is not served."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    house = House(tmp_path_factory.mktemp("house"), catalog=FakeCatalog([make_card(), SCORED]))
    with serving(house) as http:
        connect(DashboardSettings(server=str(http.base_url)))
        yield Open(house, http)
        disconnect()


@pytest.fixture(scope="module")
def job(service: Open) -> str:
    """Done, with an image that failed."""
    files = [("a.jpg", picture()), ("b.jpg", b"no picture")]
    made = service.submit(*files, artifacts=["mask", "overlay", "confidence"])
    service.house.work()
    return made


@pytest.fixture(scope="module")
def pair(service: Open) -> str:
    """Of two models."""
    made = service.submit(("a.jpg", picture()), models=["tiny", "other"])
    service.house.work()
    return made
