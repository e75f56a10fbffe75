"""What is found out of a model after its training goes to the run in MLflow that it came from.

Nothing fails with MLflow: whoever asked is told why nothing was sent.
"""

import importlib.util
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from segmentation.model_card import ModelCard
from storage.model_reference import CHAMPION, ModelReference
from training.evaluate.evaluation import Latency
from training.settings import TrainingSettings
from training.tracking.note import run_of, told, without_credentials

if TYPE_CHECKING:
    from training.tracking.mlflow_client import MlflowClient

REPORTS = "reports"  # among the artifacts of a run


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """metrics: by name; one that is no number is left out. reports: text, by the name of its file. epoch: of the
    weights; 0 where nobody knows."""

    metrics: Mapping[str, float]
    reports: Mapping[str, str] = field(default_factory=dict)
    epoch: int = 0


def send_results(of: Path | str, results: Results, settings: TrainingSettings) -> str:
    """of: a run's folder, or `models:/NAME@ALIAS`. Returns why nothing, or not all, was sent; empty when all was."""
    if not settings.tracks:
        return "tracking is switched off"
    if importlib.util.find_spec("mlflow") is None:
        return "mlflow is not installed (pip install mlflow-skinny)"
    from training.tracking.mlflow_client import MLFLOW_FAILURES, Metric, connect, metric_names

    uri = settings.resolved_tracking_uri
    where = without_credentials(uri)
    if isinstance(of, Path) and run_of(of, uri) is None:
        return f"the run in {of} was not tracked at {where}"
    now_ms = int(time.time() * 1000)
    names = metric_names(results.metrics)
    known = {names[name]: float(value) for name, value in results.metrics.items() if isfinite(value)}
    try:
        client = connect(uri)
        run = _run_id(client, of, uri)
        client.log_batch(run, metrics=[Metric(name, value, now_ms, results.epoch) for name, value in known.items()])
        for name, text in results.reports.items():
            client.log_text(run, text, f"{REPORTS}/{name}")
    except MLFLOW_FAILURES as error:
        return f"MLflow at {where} does not take it ({told(error, uri)})"
    return ""


def scored(scores: Mapping[str, float | None], data: str) -> dict[str, float]:
    """Metrics of an evaluation. scores: of `Evaluation.scores()`. data: what they are of, as `camvid-test`."""
    return {f"{data}/{name}": value for name, value in scores.items() if value is not None}


def timed(latencies: Iterable[Latency]) -> dict[str, float]:
    """Metrics of measured inference."""
    return _speeds((each.engine, each.median_ms, each.images_per_s) for each in latencies)


def speeds(card: ModelCard) -> dict[str, float]:
    """The same as it was measured when the bundle was made."""
    return _speeds((f"{each.engine} {each.precision}", each.median_ms, each.images_per_s) for each in card.variants)


def _speeds(found: Iterable[tuple[str, float | None, float | None]]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for engine, median_ms, images_per_s in found:
        metrics |= {f"inference_ms/{engine}": median_ms} if median_ms is not None else {}
        metrics |= {f"inference_imgs_per_sec/{engine}": images_per_s} if images_per_s is not None else {}
    return metrics


def _run_id(client: "MlflowClient", of: Path | str, uri: str) -> str:
    if isinstance(of, Path):
        return str(run_of(of, uri))
    wanted = ModelReference.parse(of)
    if wanted.version is not None:
        return str(client.get_model_version(wanted.name, wanted.version).run_id)
    return str(client.get_model_version_by_alias(wanted.name, wanted.alias or CHAMPION).run_id)
