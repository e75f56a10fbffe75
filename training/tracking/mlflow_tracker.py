"""A run in MLflow. The training never waits for it nor fails with it: what could not be sent is sent later."""

import io
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.tracking.environment import machine, packages
from training.tracking.mlflow_client import (
    MLFLOW_FAILURES,
    Metric,
    MlflowClient,
    MlflowException,
    Param,
    Run,
    RunTag,
    connect,
    experiment_id,
    metric_names,
)
from training.tracking.note import run_of, told, without_credentials, write_note
from training.tracking.trackers import Outcome

LOG = "log.jsonl"
FILES = ("recipe.toml", "data.json", "facts.json")
STATUS: Mapping[Outcome, str] = {"finished": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
RUNNING = "RUNNING"
PAUSE_S = 60.0  # between two tries to reach a server that is away
_LONGEST_VALUE = 500
_BATCH = 100  # parameters that MLflow takes at once
_REFUSED = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    what: str
    send: Callable[[MlflowClient, str], None]


class MlflowTracker:
    """Implements Tracker. The run's id lies in the run's folder, so that a resumed training continues its run."""

    def __init__(self, *, folder: Path, name: str, uri: str, experiment: str, pause_s: float = PAUSE_S) -> None:
        self._folder = folder
        self._name = name
        self._uri = uri
        self._experiment = experiment
        self._pause_s = pause_s
        self._client: MlflowClient | None = None
        self._run_id: str | None = None
        self._waiting: deque[_Entry] = deque()
        self._silent_until = 0.0
        self._away = False

    def start(self, parameters: Mapping[str, object]) -> None:
        self._put("the parameters", lambda client, run: _send_parameters(client, run, flattened(parameters)))
        self._put("the environment", _send_environment)
        for name in FILES:
            if (self._folder / name).is_file():
                self._put(name, _send_file(self._folder / name))
        logged = _logged(self._folder / LOG)
        if logged:
            self._put("earlier epochs", lambda client, run: _send_missed(client, run, logged))
        self._send()

    def is_said_to_run(self) -> bool:
        """Whether MLflow has this run and takes it for running. False, with a warning, where MLflow does not answer."""
        try:
            self._client = self._client or connect(self._uri)
            found = self._earlier(self._client)
            return found is not None and found.info.status == RUNNING
        except MLFLOW_FAILURES as error:
            where, said = without_credentials(self._uri), told(error, self._uri)
            logger.warning("MLflow at %s may take the run in %s for running still (%s)", where, self._folder, said)
            return False

    def log(self, epoch: int, numbers: Mapping[str, float]) -> None:
        metrics = _metrics(epoch, numbers)
        self._put(f"epoch {epoch}", lambda client, run: client.log_batch(run, metrics=metrics))
        self._send()

    def picture(self, epoch: int, name: str, image: NDArray[np.uint8]) -> None:
        data = io.BytesIO()
        Image.fromarray(image).save(data, "PNG")
        place = f"predictions/epoch-{epoch:04d}/{Path(name).stem}.png"
        self._put(place, lambda client, run: client.log_image(run, Image.open(data), place))
        self._send()

    def finish(self, outcome: Outcome = "finished") -> None:
        self._put("its end", lambda client, run: client.set_terminated(run, STATUS[outcome]))
        self._silent_until = 0.0
        self._send()
        if self._waiting:
            missing = ", ".join(entry.what for entry in self._waiting)
            logger.warning("MLflow lacks of this run: %s; starting the training again sends it", missing)

    def _put(self, what: str, send: Callable[[MlflowClient, str], None]) -> None:
        self._waiting.append(_Entry(what, send))

    def _send(self) -> None:
        """All that waits, in order; nothing while a server that did not answer is left in peace."""
        if time.monotonic() < self._silent_until:
            return
        try:
            client, run = self._opened()
            while self._waiting:
                self._send_one(client, run, self._waiting[0])
                self._waiting.popleft()
        except MLFLOW_FAILURES as error:
            self._silent_until = time.monotonic() + self._pause_s
            if not self._away:
                where, said = without_credentials(self._uri), told(error, self._uri)
                logger.warning("MLflow at %s does not answer; the training goes on without it (%s)", where, said)
            self._away = True
        else:
            if self._away:
                logger.warning("MLflow answers again and has got everything")
            self._away = False

    def _send_one(self, client: MlflowClient, run: str, entry: _Entry) -> None:
        try:
            entry.send(client, run)
        except MlflowException as error:
            if error.error_code not in _REFUSED:
                raise
            logger.warning("MLflow refuses %s: %s", entry.what, error)

    def _opened(self) -> tuple[MlflowClient, str]:
        if self._client is None:
            self._client = connect(self._uri)
        if self._run_id is None:
            self._run_id = self._continued(self._client) or self._created(self._client)
        return self._client, self._run_id

    def _continued(self, client: MlflowClient) -> str | None:
        found = self._earlier(client)
        if found is None:
            return None
        client.update_run(found.info.run_id, status=RUNNING)
        return str(found.info.run_id)

    def _earlier(self, client: MlflowClient) -> Run | None:
        """What an earlier start of this training made there; None when there is nothing, or it was deleted."""
        noted = run_of(self._folder, self._uri)
        if noted is None:
            return None
        try:
            found = client.get_run(noted)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return found if found.info.lifecycle_stage == "active" else None

    def _created(self, client: MlflowClient) -> str:
        run = client.create_run(experiment_id(client, self._uri, self._experiment), run_name=self._name)
        write_note(self._folder, self._uri, run.info.run_id)
        return str(run.info.run_id)


def flattened(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """`{"model": {"options": {"size": "b0"}}}` → `{"model.options.size": "b0"}`; lists of tables are numbered."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)) and value and all(isinstance(each, Mapping) for each in value):
            for number, each in enumerate(value):
                flat |= flattened(each, f"{prefix}{name}.{number}.")
        else:
            flat[f"{prefix}{name}"] = str(value)[:_LONGEST_VALUE]
    return flat


def _send_parameters(client: MlflowClient, run: str, parameters: Mapping[str, str]) -> None:
    """A parameter never changes in MLflow: what a prolonged recipe changed becomes a tag."""
    known = client.get_run(run).data.params
    new = [Param(name, value) for name, value in parameters.items() if name not in known]
    changed = [
        RunTag(f"changed.{name}", value) for name, value in parameters.items() if known.get(name, value) != value
    ]
    for first in range(0, len(new), _BATCH):
        client.log_batch(run, params=new[first : first + _BATCH])
    if changed:
        client.log_batch(run, tags=changed[:_BATCH])


def _send_file(path: Path) -> Callable[[MlflowClient, str], None]:
    return lambda client, run: client.log_artifact(run, str(path))


def _send_environment(client: MlflowClient, run: str) -> None:
    client.log_text(run, packages(), "environment.txt")
    client.log_batch(run, tags=[RunTag(name, value) for name, value in machine().items()])


def _metrics(epoch: int, numbers: Mapping[str, float]) -> Sequence[Metric]:
    """A class that does not occur has no IoU, and no point in its curve."""
    now_ms, names = int(time.time() * 1000), metric_names(numbers)
    return [Metric(names[name], float(value), now_ms, epoch) for name, value in numbers.items() if isfinite(value)]


def _send_missed(client: MlflowClient, run: str, logged: Mapping[int, Mapping[str, float]]) -> None:
    """Epochs of the run's log that MLflow does not have: it was away, or the training was killed on the way."""
    there = {metric.step for metric in client.get_metric_history(run, "train_loss")}
    for epoch, numbers in logged.items():
        if epoch not in there:
            client.log_batch(run, metrics=_metrics(epoch, numbers))


def _logged(path: Path) -> dict[int, dict[str, float]]:
    """The numbers of each epoch in log.jsonl; of an epoch that was logged twice the later ones."""
    return {int(line.pop("epoch")): _numbers(line) for line in _lines(path) if "epoch" in line}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(text)
        except ValueError:  # the end of a line that a kill cut off
            continue


def _numbers(line: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in line.items() if isinstance(value, (int, float))}
