"""The task of trainers: `celery -A training.tasks worker -Q training -c 1 -P solo`. A message is a recipe.

A run lasts longer than the broker waits for an acknowledgement, so its message comes again while it is at work. The
lock on the run's folder decides: who does not get it sends the message again, later, and lets it go. So a message is
in the queue until its run is done, and a run that lost its trainer is resumed by the next.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from broker.app import RUN_TRAINING, app
from broker.settings import BrokerSettings
from broker.trainings import send_training
from storage.settings import StorageSettings
from training.fit.launch import Order, RunBusy, run_order
from training.settings import TrainingSettings

logger = logging.getLogger(__name__)


@app.task(name=RUN_TRAINING)
def run_training(text: str, title: str, roots: dict[str, str]) -> None:
    settings = TrainingSettings()
    folders = {name: Path(folder) for name, folder in roots.items()}
    order = Order(
        text=text,
        title=title,
        roots=folders,
        runs=settings.runs,
        models=StorageSettings().model_folders,
        workers=settings.workers,
    )
    try:
        run = run_order(order, settings=settings)
    except RunBusy:
        logger.info("the run is at work elsewhere", extra={"action": "training_postponed", "recipe": title})
        time.sleep(settings.busy_pause_s)
        send_training(BrokerSettings(), text=text, title=title, roots=roots)
        return
    logger.info("the run is done", extra={"action": "training_done", "run": run.name, "epochs": run.epochs_done})


__all__ = ["app", "run_training"]
