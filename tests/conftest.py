"""Fixtures for every test: real servers, one of each per test process, and an empty place on them per test."""

from __future__ import annotations

import gc
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.measuring import COVERAGE  # before what is measured
from tests.services.ceph import find_radosgw, radosgw
from tests.services.postgres import PostgresServer, postgres
from tests.services.s3 import S3Server, rclone
from tests.services.valkey import ValkeyServer, valkey

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
# All tests of these go to one process: the server takes a dozen seconds to start.
ON_RADOSGW = tuple(
    f"tests/{name}.py"
    for name in (
        *("contracts/test_buckets", "contracts/test_object_pieces", "contracts/test_object_store"),
        "contracts/test_inputs_of_jobs",
        "integration/test_create_bucket",
    )
)

# How long an example takes says what else the machine does.
settings.register_profile("patient", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

gc.disable()  # what collecting the tests makes, stays: to look through it again and again takes half of the time


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that are given most time begin first: a long one that began last would end alone."""
    given: dict[Path, float] = {}
    for item in items:
        mark = item.get_closest_marker("timeout")
        given[item.path] = max(given.get(item.path, 0.0), float(mark.args[0]) if mark else 0.0)
    items.sort(key=lambda item: -given[item.path])


def pytest_sessionfinish() -> None:
    if COVERAGE is not None:
        COVERAGE.write(os.environ.get("PYTEST_XDIST_WORKER", "alone"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile`, with the files on radosgw as one."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist tells no types
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "radosgw" if file in ON_RADOSGW else file

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of generated scenes: those that one test rendered, the next one finds."""
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey_url(valkey_server: ValkeyServer) -> str:
    """A broker with nothing in it."""
    valkey_server.flush()
    return valkey_server.url


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty database, for this test alone."""
    name = f"test_{secrets.token_hex(6)}"
    yield postgres_server.create(name)
    postgres_server.drop(name)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    """The name of a database with our tables and nothing in them."""
    from storage.migrate import upgrade
    from storage.settings import StorageSettings

    name = f"template_{secrets.token_hex(6)}"
    upgrade(StorageSettings(database_url=postgres_server.create(name)))
    return name


@pytest.fixture(scope="session")
def used_databases() -> list[str]:
    """Databases with our tables that no test uses any more."""
    return []


@pytest.fixture
def migrated_postgres_url(
    postgres_server: PostgresServer, migrated_template: str, used_databases: list[str]
) -> Iterator[str]:
    """A database with our tables and nothing in them, for this test alone."""
    name = f"test_{secrets.token_hex(6)}"
    if used_databases:
        yield postgres_server.renew(used_databases.pop(), name)
    else:
        yield postgres_server.create(name, template=migrated_template)
    used_databases.append(name)


@pytest.fixture(scope="session")
def rclone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def radosgw_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Takes a dozen seconds to start."""
    with radosgw(tmp_path_factory.mktemp("radosgw")) as server:
        yield server


@pytest.fixture(scope="session")
def any_s3_server(request: pytest.FixtureRequest) -> S3Server:
    """The fullest S3 server that is installed: for tests of something else that needs a store."""
    server: S3Server = request.getfixturevalue("radosgw_server" if find_radosgw() else "rclone_server")
    return server


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with MLflow's tables and nothing in them: making them takes seconds."""
    from training.tracking.mlflow_client import connect

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def mlflow_uri(mlflow_template: Path, tmp_path: Path) -> str:
    """An MLflow in a file, for this test alone."""
    path = tmp_path / "mlflow.db"
    shutil.copyfile(mlflow_template, path)
    return f"sqlite:///{path}"
