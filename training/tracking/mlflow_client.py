"""A client of MLflow that gives up within seconds. training/ takes mlflow's names from here alone."""

import fcntl
import itertools
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from storage.registry.mlflow_registry import SQLITE, set_manners, sqlite_file, sqlite_uri

set_manners()

from mlflow.entities import Metric, Param, Run, RunTag  # noqa: E402 after its settings
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
    "Run",
    "RunTag",
    "connect",
    "experiment_id",
    "metric_names",
]

_REFUSED = re.compile(r"[^\w.\- :]")
_LONGEST_NAME = 250  # of a metric

MLFLOW_FAILURES = (MlflowException, OSError)  # what a call may raise when the server or its store is away


def connect(uri: str) -> MlflowClient:
    """uri: of a server, or `sqlite:///path`, whose file is made when there is none. Raises MLFLOW_FAILURES."""
    if uri.startswith(SQLITE):
        _make(sqlite_file(uri))
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def metric_names(names: Iterable[str]) -> dict[str, str]:
    """Each name → the one that MLflow takes for it; most are as they were. No two become one.

    Names of classes are in them, and a label space takes what MLflow refuses: `iou/tree (dead)`, `iou/../sky`.
    """
    found: dict[str, str] = {}
    for name in sorted(names, key=lambda name: _legal(name) != name):  # a legal name is nobody else's
        legal = _legal(name)
        free = (f"{legal[: _LONGEST_NAME - 8]}_{number}" for number in itertools.count(2))
        taken = set(found.values())
        found[name] = next(each for each in itertools.chain([legal], free) if each not in taken)
    return found


def _legal(name: str) -> str:
    """Letters, digits and `_.-: /` as in the path of a file."""
    parts = (_REFUSED.sub("_", part) for part in name.split("/"))
    return "/".join("_" if part in ("", ".", "..") else part for part in parts)[:_LONGEST_NAME]


def _make(path: Path) -> None:
    """Made beside and moved into place: its tables take seconds, and a worker that follows a model opens what it finds,
    where it would make the missing ones too, at the same time."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        _wait_for(lock)
        if path.is_file():
            return  # another one was first
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
            part = Path(folder) / path.name
            beside = sqlite_uri(part)
            MlflowClient(tracking_uri=beside, registry_uri=beside)
            part.replace(path)


def _wait_for(lock: IO[str]) -> None:
    """Raises OSError, which says what to do where a file system knows no locks."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        said = f"{error.strerror}: it cannot be locked; choose a folder on a local disk"
        raise OSError(error.errno, said, lock.name) from None


def experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    """Of the experiment, made when there is none. Beside a SQLite file artifacts lie in a folder `mlflow-artifacts`."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = (sqlite_file(uri).parent / "mlflow-artifacts").as_uri() if uri.startswith(SQLITE) else None
    return str(client.create_experiment(name, artifact_location=place))
