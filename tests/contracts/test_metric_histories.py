"""What runs logged, as MLflow's own client reads it: from its database, and from a tracking server."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from mlflow.tracking import MlflowClient

from api.main import create_app
from storage.registry.metric_histories import (
    PATH,
    InvalidPageToken,
    MetricHistories,
    MetricPoint,
    TrackingUnavailable,
    open_histories,
)
from storage.registry.mlflow_registry import set_manners
from tests.unit.api.house import House
from tests.unit.api.live import serving

LOSSES = [0.9, 0.5, math.nan, 0.25]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's own parts, which answer here, take seconds to begin on a busy machine."""
    monkeypatch.setattr("storage.registry.metric_histories._TIMEOUT_S", 60.0)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A tracking file with one run that logged a loss over four steps. Returns it and the run's id."""
    set_manners()
    file = tmp_path_factory.mktemp("tracking") / "mlflow.db"
    client = MlflowClient(tracking_uri=f"sqlite:///{file}")
    run_id = client.create_run(client.create_experiment("maskmill")).info.run_id
    for step, value in enumerate(LOSSES):
        client.log_metric(run_id, "val_loss", value, timestamp=1_764_000_000_000 + step, step=step)
    client.log_metric(run_id, "miou", 0.5)
    return file, str(run_id)


@contextmanager
def tracking_server(answer: Callable[[dict[str, str]], tuple[int, str]]) -> Iterator[str]:
    """Answers the one question, given its parameters. Gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, text = answer({name: values[0] for name, values in parse_qs(parts.query).items()})
            self.send_response(status if parts.path == PATH else 404)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def as_mlflow_says(file: Path, asked: dict[str, str]) -> tuple[int, str]:
    """What the handler of MLflow's server does, from its own parts."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.service_pb2 import GetMetricHistory
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.utils.proto_json_utils import message_to_json

    store = SqlAlchemyStore(f"sqlite:///{file}", "unused")
    most = int(asked["max_results"]) if "max_results" in asked else None
    try:
        found = store.get_metric_history(asked["run_id"], asked["metric_key"], most, asked.get("page_token"))
    except MlflowException as error:
        return error.get_http_status_code(), error.serialize_as_json()
    answer = GetMetricHistory.Response(metrics=[each.to_proto() for each in found])
    if found.token:
        answer.next_page_token = found.token
    return 200, message_to_json(answer)


@pytest.fixture(params=["database", "server"])
def histories(tracked: tuple[Path, str], request: pytest.FixtureRequest) -> Iterator[MetricHistories]:
    file, _ = tracked
    if request.param == "database":
        yield open_histories(f"sqlite:///{file}")
        return
    with tracking_server(lambda asked: as_mlflow_says(file, asked)) as address:
        yield open_histories(address)


def values(points: object) -> list[float]:
    assert isinstance(points, (list, tuple))
    return [point.value for point in points]


def test_a_metric_comes_in_the_order_in_which_it_was_logged(histories: MetricHistories, tracked) -> None:
    page = histories.page(tracked[1], "val_loss", limit=None, token=None)
    assert page.points[0] == MetricPoint("val_loss", 0.9, 1_764_000_000_000, 0)
    assert values(page.points) == pytest.approx(LOSSES, nan_ok=True)
    assert page.next_token is None


def test_a_history_comes_in_pages(histories: MetricHistories, tracked) -> None:
    first = histories.page(tracked[1], "val_loss", limit=3, token=None)
    second = histories.page(tracked[1], "val_loss", limit=3, token=first.next_token)
    assert values([*first.points, *second.points]) == pytest.approx(LOSSES, nan_ok=True)
    assert second.next_token is None


@pytest.mark.parametrize(("run", "metric"), [("nobody", "val_loss"), (None, "nothing")])
def test_what_nobody_logged_is_empty(histories: MetricHistories, tracked, run, metric) -> None:
    page = histories.page(run or tracked[1], metric, limit=None, token=None)
    assert (list(page.points), page.next_token) == ([], None)


@pytest.mark.parametrize("token", ["nonsense", "eyJvZmZzZXQiOiAtMX0="])
def test_a_foreign_token_is_told_so(tracked, token: str) -> None:
    with pytest.raises(InvalidPageToken):
        open_histories(f"sqlite:///{tracked[0]}").page(tracked[1], "val_loss", limit=3, token=token)


def test_a_server_that_does_not_know_a_token_says_so(tracked) -> None:
    with tracking_server(lambda asked: as_mlflow_says(tracked[0], asked)) as address, pytest.raises(InvalidPageToken):
        open_histories(address).page(tracked[1], "val_loss", limit=3, token="nonsense")


@pytest.mark.parametrize("said", ["{", "[]", '{"metrics": [{}]}', '{"metrics": [{"key": "a", "value": "x"}]}'])
def test_a_server_that_talks_nonsense_is_unavailable(said: str) -> None:
    with tracking_server(lambda asked: (200, said)) as address, pytest.raises(TrackingUnavailable):
        open_histories(address).page("r", "m", limit=None, token=None)


def test_a_run_that_a_server_does_not_find_has_no_values() -> None:
    with tracking_server(lambda asked: (404, "{}")) as address:
        assert not open_histories(address).page("r", "m", limit=None, token=None).points


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    for uri in (f"sqlite:///{tmp_path / 'mlflow.db'}", "none"):
        assert not open_histories(uri).page("r", "m", limit=None, token=None).points
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_tracking_store_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database at all, only text that is long enough to have a header" * 20)
    for uri in (f"sqlite:///{tmp_path / 'mlflow.db'}", "postgresql://nobody@127.0.0.1:1/x", "http://127.0.0.1:1"):
        with pytest.raises(TrackingUnavailable):
            open_histories(uri).page("r", "m", limit=None, token=None)


@pytest.fixture
def house(tmp_path: Path, tracked: tuple[Path, str]) -> House:
    (tmp_path / "mlflow.db").write_bytes(tracked[0].read_bytes())
    return House(tmp_path)


def test_mlflows_own_client_reads_a_history_from_the_service(house: House, tracked) -> None:
    app = create_app(lambda: nullcontext(house.services()), compat=True)
    with serving(house, app) as http:
        client = MlflowClient(tracking_uri=str(http.base_url).rstrip("/"))
        history = client.get_metric_history(tracked[1], "val_loss")
        nobody = client.get_metric_history("9d1d6201075647d088840506a93f7a3f", "val_loss")
        raw = http.get(PATH, params={"run_uuid": tracked[1], "metric_key": "val_loss", "max_results": 1}).json()
    assert [each.value for each in history] == pytest.approx(LOSSES, nan_ok=True)
    assert [each.step for each in history] == [0, 1, 2, 3]
    assert nobody == []
    assert raw["metrics"] == [{"key": "val_loss", "value": 0.9, "timestamp": 1_764_000_000_000, "step": 0}]
    assert raw["next_page_token"]


def test_mlflows_own_client_understands_what_is_wrong(house: House) -> None:
    from mlflow.exceptions import RestException

    app = create_app(lambda: nullcontext(house.services()), compat=True)
    with serving(house, app) as http:
        client = MlflowClient(tracking_uri=str(http.base_url).rstrip("/"))
        with pytest.raises(RestException) as told:
            client.get_metric_history("", "val_loss")
        answers = [
            http.get(f"{PATH}?{query}")
            for query in ("run_id=r", "run_id=r&metric_key=m&max_results=0", "run_id=r&metric_key=m&page_token=x")
        ]
        nul = http.get(PATH, params={"run_id": "r\x00", "metric_key": "m"})
        (house.folder / "mlflow.db").write_bytes(b"damaged" * 1000)
        away = http.get(PATH, params={"run_id": "r", "metric_key": "m"})
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"
    assert [(answer.status_code, answer.json()["error_code"]) for answer in answers] == [
        (400, "INVALID_PARAMETER_VALUE")
    ] * 3
    assert nul.json() == {"metrics": []}
    assert (away.status_code, away.json()["code"]) == (503, "tracking_unavailable")
    assert json.loads(away.text)["error_code"] == "TEMPORARILY_UNAVAILABLE"
