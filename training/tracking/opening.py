"""Opens the tracker that the settings ask for; a training never depends on it."""

import importlib.util
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from training.settings import TrainingSettings
from training.tracking.note import run_of
from training.tracking.trackers import NullTracker, Tracker

if TYPE_CHECKING:
    from training.tracking.mlflow_tracker import MlflowTracker


def open_mlflow(*, folder: Path, name: str, settings: TrainingSettings) -> Tracker:
    """A tracker of the run in `folder`. Keeps nothing when the settings say so, or, with a warning, without mlflow."""
    if not settings.tracks:
        return NullTracker()
    if not _is_installed():
        warnings.warn("the run is not tracked: pip install mlflow-skinny (or set --no-mlflow)", stacklevel=2)
        return NullTracker()
    return _tracker(folder, name, settings)


def open_left_running(*, folder: Path, name: str, settings: TrainingSettings) -> Tracker:
    """Of the run in `folder` where MLflow takes it for running though its process was killed, and could not tell.

    For who holds the right to train there. Keeps nothing of any other run.
    """
    if not settings.tracks or not _is_installed() or run_of(folder, settings.resolved_tracking_uri) is None:
        return NullTracker()
    tracker = _tracker(folder, name, settings)
    return tracker if tracker.is_said_to_run() else NullTracker()


def _is_installed() -> bool:
    return importlib.util.find_spec("mlflow") is not None


def _tracker(folder: Path, name: str, settings: TrainingSettings) -> "MlflowTracker":
    from training.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(folder=folder, name=name, uri=settings.resolved_tracking_uri, experiment=settings.experiment)
