"""One contender is trained with the budget, scored and exported; or only its cost is measured."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.architectures.budget import Budget
from benchmarks.architectures.contenders import Contender
from benchmarks.record import median, stamp
from segmentation.label_spaces import get_label_space
from training.export.files import export_onnx
from training.fit.train import Places, train
from training.recipe.building import build_empty_model
from training.runs import read_history
from training.tracking import ConsoleTracker, JsonlTracker, NullTracker, Trackers

ONNX = "model.onnx"
LOG = "log.jsonl"
SCORES = {"miou": "miou", "dice": "mean_dice", "pixel_acc": "pixel_accuracy"}  # names in a run's log → in the table


def trained(contender: Contender, budget: Budget, roots: Mapping[str, Path], runs: Path) -> dict[str, Any]:
    """The contender's row, without speeds. Goes on from its last epoch where a run was killed."""
    recipe, folder = budget.recipe(contender), runs / contender.name
    print(f"== {contender.title}: {budget.steps} steps", file=sys.stderr, flush=True)
    tracker = Trackers([ConsoleTracker(sys.stdout, epochs=recipe.epochs), JsonlTracker(folder / LOG)])
    state = train(recipe, folder=folder, places=Places(roots=roots), tracker=tracker)
    last = read_history(folder / LOG)[-1]
    model = build_empty_model(recipe.model, get_label_space(recipe.label_space))
    model.load_state_dict(state.average.values)
    export_onnx(model, folder / ONNX)
    stamped = stamp()
    return {
        "title": contender.title,
        "note": contender.note,
        "pretrained": contender.pretrained,
        "seed": recipe.seed,
        **{short: round(last[name], 4) for name, short in SCORES.items()},
        "train_loss": round(last["train_loss"], 4),
        "parameters": parameter_count(model),
        "commit": stamped["commit"],
        "date": stamped["date"],
    }


def seconds_per_step(contender: Contender, budget: Budget, roots: Mapping[str, Path]) -> float:
    """Processor seconds: two trainings that differ by two steps, so that building and scoring do not count."""
    spent = [_processor_seconds(contender, replace(budget, epochs=epochs), roots) for epochs in (1, 3)]
    return median([(spent[1] - spent[0]) / 2])


def _processor_seconds(contender: Contender, budget: Budget, roots: Mapping[str, Path]) -> float:
    tiny = replace(budget, pictures=budget.batch_size, checked_pictures=1, long_side=64)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        train(tiny.recipe(contender), folder=Path(folder), places=Places(roots=roots), tracker=NullTracker())
    return time.process_time() - began


def parameter_count(model: nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())
