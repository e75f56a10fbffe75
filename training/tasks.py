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
from segmentation.errors import SegmentationError
from storage.settings import StorageSettings
from training.datasets.pairs import DatasetError
from training.fit.launch import Order, RunBusy, run_order
from training.fit.loop import DamagedCheckpoint, TrainingDiverged
from training.lineage import DamagedRun
from training.recipe.recipe import RecipeError
from training.settings import TrainingSettings

logger = logging.getLogger(__name__)


# What is wrong with a recipe, its data or its run: told in a sentence, as commands tell it.
FAULTS = (RecipeError, DatasetError, SegmentationError, TrainingDiverged, DamagedCheckpoint, DamagedRun)


@app.task(name=RUN_TRAINING, throws=FAULTS)
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
    except FAULTS as error:
        told = {"action": "training_failed", "recipe": title, "code": error.code}
        logger.error("%s is not trained: %s", title, error, extra=told)
        raise
    logger.info("the run is done", extra={"action": "training_done", "run": run.name, "epochs": run.epochs_done})


__all__ = ["app", "run_training"]
