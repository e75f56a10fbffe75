"""A real trainer on a real broker: a recipe from the queue becomes a run, once, whatever is killed or said twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.app import TRAINING
from broker.settings import BrokerSettings
from broker.trainings import send_training
from jobs.errors import QueueUnavailable
from tests.services.processes import dies_with_us, free_port, wait_for
from tests.tiny_runs import tiny_order
from training.fit.launch import Order, run_lock
from training.runs import LOG, read_history

pytestmark = pytest.mark.slow

PATIENCE_S = 120  # a trainer imports torch before it does anything

IMPATIENT = {
    "MASKMILL_BROKER_VISIBILITY_TIMEOUT_S": "4",
    "MASKMILL_BROKER_RESTORE_INTERVAL_S": "1",
    "MASKMILL_TRAINING_BUSY_PAUSE_S": "0.2",
    "MASKMILL_TRAINING_TRACKING_URI": "none",
    "OMP_NUM_THREADS": "1",
}


@contextmanager
def trainer(home: Path, broker: str, name: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "celery", "-A", "training.tasks", "worker", "-P", "solo", "-c", "1"]
    command += ["-Q", TRAINING, "-n", f"{name}@%h", "-l", "INFO"]
    places = {"MASKMILL_HOME": str(home), "MASKMILL_BROKER_URL": broker, "MASKMILL_TRAINING_RUNS": str(home / "runs")}
    with (home / f"{name}.log").open("wb") as output:
        process = subprocess.Popen(
            [*dies_with_us(), *command],
            env={**os.environ, **IMPATIENT, **places},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(120)


def send(order: Order, broker: str) -> None:
    roots = {name: str(folder) for name, folder in order.roots.items()}
    send_training(BrokerSettings(url=broker), text=order.text, title=order.title, roots=roots)


def epochs(order: Order) -> int:
    return max([0, *(int(line["epoch"]) for line in read_history(order.folder / LOG))])


@pytest.mark.timeout(400)
def test_a_message_waits_while_its_run_is_at_work_and_comes_back_when_its_trainer_dies(valkey_url, tmp_path, rendered):
    settings = ["stages[0].epochs=2000", "evaluate_every=2000"]
    order = tiny_order(tmp_path / "runs", {"scenes": rendered}, settings)
    log = tmp_path / "first.log"
    with trainer(tmp_path, valkey_url, "first") as process:
        with run_lock(order.folder):
            send(order, valkey_url)
            refused = "training_postponed"
            wait_for(lambda: log.read_text().count(refused) > 1, what="a second refusal", timeout_s=PATIENCE_S)
            assert epochs(order) == 0
        wait_for(lambda: epochs(order) > 0, what="the first epoch", timeout_s=PATIENCE_S)
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = epochs(order)
    with trainer(tmp_path, valkey_url, "second"):
        wait_for(lambda: epochs(order) > before, what="the epoch after", timeout_s=PATIENCE_S)
    assert [int(line["epoch"]) for line in read_history(order.folder / LOG)] == list(range(1, epochs(order) + 1))


def test_a_broker_that_is_not_there_is_told_of():
    settings = BrokerSettings(url=f"redis://127.0.0.1:{free_port()}/0", publish_timeout_s=0.5)
    with pytest.raises(QueueUnavailable, match="nothing was sent"):
        send_training(settings, text="", title="recipe.toml", roots={})
