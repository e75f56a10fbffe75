"""--track: what a command found out of a model is sent to the run in MLflow that the model came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from maskmill.cli.options import JsonOption
from maskmill.cli.output import stderr

if TYPE_CHECKING:
    from maskmill.cli.training.evaluate import DataOptions
    from training.datasets.pairs import PairDataset
    from training.evaluate.evaluation import Evaluation
    from training.evaluate.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class TrackOption(JsonOption):
    track: Annotated[
        bool, typer.Option("--track", help="Send scores, speed and report to the model's run in MLflow, too.")
    ] = False


def measured_on(
    dataset: str, choices: DataOptions, pictures: PairDataset, *, subject: Subject, found: Evaluation
) -> str:
    """What metrics are of: `camvid-test`. With what makes them others than a plain evaluation of the model on all
    pictures: how many were drawn, which data they are where a folder or an option was named, and the classes where
    these are not the ones that model and data share."""
    from training.spaces import common_space

    parts = [f"{dataset}-{choices.split}"]
    if choices.count or choices.share < 1:
        parts.append(f"{len(pictures)}-pictures" + (f"-of-seed-{choices.seed}" if choices.seed else ""))
    if choices.option or (choices.root and not pictures.is_generated):
        parts.append(f"data-{_digest(pictures, found)}")
    if found.space.name != common_space([subject.space, pictures.space]).name:
        parts.append(f"in-{found.space.name}")
    return "-".join(parts)


def _digest(pictures: PairDataset, found: Evaluation) -> str:
    """Of the pictures, and of how many pixels of each class their masks show: the same wherever a data set lies,
    another one for other data in the same place."""
    content = json.dumps([sorted(pictures.marks()), found.confusion.sum(axis=1).tolist()])
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def track(reference: str, subject: Subject, metrics: Mapping[str, float], reports: Mapping[str, str]) -> None:
    """Of a model that was named so. A server that is away, or a model without a run, is a warning."""
    from training.evaluate.subjects import REGISTRY
    from training.settings import TrainingSettings
    from training.tracking.results import Results, send_results

    of = reference if reference.startswith(REGISTRY) else subject.folder
    epoch = 0 if subject.snapshot is None else subject.snapshot.epochs_done
    if of is None:
        why = f"{subject.name} is a bundle, which does not say whose it is: name its run, or models:/NAME@ALIAS"
    else:
        why = send_results(of, Results(metrics=metrics, reports=reports, epoch=epoch), TrainingSettings())
    if why:
        stderr().print(Text(f"Warning: not sent to MLflow: {why}", style="yellow"), soft_wrap=True)
