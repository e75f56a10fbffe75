"""Where a run's parameters, numbers and pictures go: the console, a file, MLflow."""

from training.tracking.opening import open_left_running, open_mlflow
from training.tracking.trackers import ConsoleTracker, JsonlTracker, NullTracker, Tracker, Trackers

__all__ = ["ConsoleTracker", "JsonlTracker", "NullTracker", "Tracker", "Trackers", "open_left_running", "open_mlflow"]
