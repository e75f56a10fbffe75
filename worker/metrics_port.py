"""The port of a worker process on which Prometheus finds its metrics, and the file that says which it is."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from storage.settings import StorageSettings
from telemetry.exposition import Port, open_port
from worker.beats import as_file_name
from worker.settings import WorkerSettings


def open_metrics_port(
    registry: CollectorRegistry, settings: WorkerSettings, storage: StorageSettings, name: str
) -> Port | None:
    """name: of this process among all."""
    if settings.metrics_port is None:
        return None
    note = storage.home / "run" / "metrics" / f"{as_file_name(name)}.json"
    where, labels = settings.metrics_host, {"worker": name}
    return open_port(registry, host=where, first=settings.metrics_port, note=note, labels=labels)
