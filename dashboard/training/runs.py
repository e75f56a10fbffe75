"""Runs and their curves, read from MLflow. It is imported when the page is first opened, by nobody else of the page."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import unquote

SQLITE = "sqlite:///"
NONE = "none"
LISTED = 50  # runs, the newest first
# Read by mlflow itself: give up within seconds, tell nobody. Whoever set them already knows better.
MANNERS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}

Points = Sequence[tuple[int, float]]  # (epoch, value), by epoch


class RunsUnavailable(Exception):
    """MLflow is not installed, not there, or does not answer; the text says which and what helps."""


@dataclass(frozen=True, slots=True)
class Run:
    """latest: the newest value of each metric. started: in UTC."""

    id: str
    name: str
    status: str
    started: datetime
    latest: Mapping[str, float]


class Runs:
    """uri: `http://host:port` of an MLflow server, `sqlite:///path`, or `none`. Every call raises RunsUnavailable."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client: Any = None

    def listed(self) -> list[Run]:
        with self._speaking() as client:
            experiments = [each.experiment_id for each in client.search_experiments()]
            found = client.search_runs(experiments, max_results=LISTED, order_by=["attributes.start_time DESC"])
            return [_run(each) for each in found]

    def curve(self, run_id: str, metric: str) -> Points:
        """Of an epoch that was logged twice the later value."""
        with self._speaking() as client:
            history = client.get_metric_history(run_id, metric)
        ordered = sorted(history, key=lambda each: (each.step, each.timestamp))
        return sorted({int(each.step): float(each.value) for each in ordered if isfinite(each.value)}.items())

    @contextmanager
    def _speaking(self) -> Iterator[Any]:
        if self._uri == NONE:
            raise RunsUnavailable("Training runs are not tracked here: the address of MLflow is set to `none`.")
        if self._uri.startswith(SQLITE) and not Path(unquote(self._uri.removeprefix(SQLITE))).is_file():
            raise RunsUnavailable("No training has been tracked on this machine yet. `maskmill train` tracks one.")
        for name, value in MANNERS.items():
            os.environ.setdefault(name, value)
        try:
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ModuleNotFoundError as error:
            text = "Training runs need MLflow's client: pip install 'maskmill-server[dashboard]'."
            raise RunsUnavailable(text) from error
        try:
            self._client = self._client or MlflowClient(tracking_uri=self._uri)
            yield self._client
        except (MlflowException, OSError, ValueError) as error:  # the last: of an answer that is no JSON
            raise RunsUnavailable(f"MLflow does not answer ({type(error).__name__}).") from error


def _run(found: Any) -> Run:
    info = found.info
    latest = {name: value for name, value in found.data.metrics.items() if isfinite(value)}
    started = datetime.fromtimestamp(info.start_time / 1000, UTC)
    return Run(info.run_id, info.run_name or info.run_id, info.status.lower(), started, latest)
