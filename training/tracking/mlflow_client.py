"""A client of MLflow that gives up within seconds. training/ takes mlflow's names from here alone."""

import logging
import os
from pathlib import Path
from urllib.parse import unquote

# Read by mlflow itself. Whoever set them already knows better.
_MANNERS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # which may be JSON
}
for _name, _value in _MANNERS.items():
    os.environ.setdefault(_name, _value)

from mlflow.artifacts import download_artifacts  # noqa: E402 after its settings
from mlflow.entities import Metric, Param, RunTag  # noqa: E402
from mlflow.entities.model_registry import ModelVersion  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

__all__ = [
    "MLFLOW_FAILURES",
    "Metric",
    "MlflowClient",
    "MlflowException",
    "ModelVersion",
    "Param",
    "RunTag",
    "connect",
    "download_artifacts",
    "experiment_id",
]

MLFLOW_FAILURES = (MlflowException, OSError)  # what a call may raise when the server or its store is away
_SQLITE = "sqlite:///"


def connect(uri: str) -> MlflowClient:
    """uri: of a server, or `sqlite:///path`, whose file is made when there is none. Raises MLFLOW_FAILURES."""
    # They tell every migration of a new file, and that a version is being made.
    for name in ("alembic", "mlflow.store.db.utils", "mlflow.store.model_registry.abstract_store"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if uri.startswith(_SQLITE):
        sqlite_file(uri).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def sqlite_file(uri: str) -> Path:
    return Path(unquote(uri.removeprefix(_SQLITE)))


def experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    """Of the experiment, made when there is none. Beside a SQLite file artifacts lie in a folder `mlflow-artifacts`."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = (sqlite_file(uri).parent / "mlflow-artifacts").as_uri() if uri.startswith(_SQLITE) else None
    return str(client.create_experiment(name, artifact_location=place))
