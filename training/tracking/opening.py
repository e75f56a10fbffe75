"""Opens the tracker that the settings ask for; a training never depends on it."""

import importlib.util
import warnings
from pathlib import Path

from training.settings import TrainingSettings
from training.tracking.trackers import NullTracker, Tracker


def open_mlflow(*, folder: Path, name: str, settings: TrainingSettings) -> Tracker:
    """A tracker of the run in `folder`. Keeps nothing when the settings say so, or, with a warning, without mlflow."""
    if not settings.tracks:
        return NullTracker()
    if importlib.util.find_spec("mlflow") is None:
        warnings.warn("the run is not tracked: pip install mlflow-skinny (or set --no-mlflow)", stacklevel=2)
        return NullTracker()
    from training.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(folder=folder, name=name, uri=settings.resolved_tracking_uri, experiment=settings.experiment)
