"""`python -m benchmarks.architectures train|speed|cost [NAME…]`: the comparisons in docs/models.md, row by row.

train: everybody with one budget, then scores; a row that is there is not trained again, a killed run goes on.
speed: what inference costs, of what was trained and of the bundled models; for a machine that does nothing else.
cost: processor seconds of one training step of each, to choose a budget that can be afforded.
--comparison long: fewer architectures, a longer training, ImageNet weights, several seeds; without speeds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.architectures.budget import Budget
from benchmarks.architectures.comparisons import COMPARISONS
from benchmarks.architectures.contenders import Contender, chosen_contenders
from benchmarks.architectures.ledger import Ledger
from benchmarks.architectures.speed import speed_on_gpu, speeds_of_file
from benchmarks.architectures.trial import ONNX, seconds_per_step, trained
from benchmarks.record import stamp
from segmentation.label_spaces import get_label_space
from segmentation.model_card import ModelCard
from storage.catalog import open_catalog
from storage.settings import StorageSettings
from training.recipe.building import build_model, parse_roots
from training.recipe.recipe import ModelChoice


def main() -> None:
    parser = _parser()
    given = parser.parse_args()
    if given.what == "speed" and given.comparison == "long":
        parser.error("speeds do not depend on the training: they are measured of the short comparison")
    if given.threads:
        torch.set_num_threads(given.threads)
    roots = parse_roots(given.root)
    comparison = COMPARISONS[given.comparison]
    budget = _budget(given, comparison.budget, "camvid" if "camvid" in roots else "scenes")
    contenders = chosen_contenders(given.names, comparison.contenders)
    ledger = Ledger(given.results or comparison.results)
    if given.what == "cost":
        for each in contenders:
            print(f"{each.name:28} {seconds_per_step(each, budget, roots):8.2f} s a step", flush=True)
    elif given.what == "train":
        ledger.begin(budget.to_dict(), afresh=given.afresh)
        train_all(contenders, budget, roots, ledger=ledger, runs=given.runs)
    else:
        measure_speeds(contenders, ledger, given.runs, again=given.afresh)


def train_all(
    contenders: Iterable[Contender], budget: Budget, roots: Mapping[str, Path], *, ledger: Ledger, runs: Path
) -> None:
    """Each row is kept as soon as it is there."""
    for contender in contenders:
        if contender.name not in ledger.rows:
            ledger.keep("rows", contender.name, trained(contender, budget, roots, runs / budget.digest))


def measure_speeds(contenders: Iterable[Contender], ledger: Ledger, runs: Path, *, again: bool = False) -> None:
    """Of the rows that were trained here, and of every bundled model."""
    for contender in contenders:
        file = next(runs.glob(f"*/{contender.name}/{ONNX}"), None)
        if contender.name in ledger.rows and file and (again or "speed" not in ledger.rows[contender.name]):
            print(f"== {contender.title}", file=sys.stderr, flush=True)
            choice = ModelChoice(architecture=contender.architecture, options=dict(contender.options))
            on_gpu = speed_on_gpu(partial(build_model, choice, get_label_space("camvid-11")))
            ledger.keep("rows", contender.name, _speed_figures({**speeds_of_file(file), **on_gpu}))
    catalog = open_catalog(StorageSettings())
    cards = catalog.list()
    ledger.forget_bundled(but={card.name for card in cards})
    for card in cards:
        print(f"== {card.name}", file=sys.stderr, flush=True)
        speeds = speeds_of_file(catalog.get(card.name).file("onnx"))
        ledger.keep("bundled", card.name, {**_card_figures(card), **_speed_figures(speeds)})


def _speed_figures(speeds: Mapping[str, Any]) -> dict[str, Any]:
    return {"speed": dict(speeds), "speed_machine": stamp()["machine"], "speed_threads": torch.get_num_threads()}


def _card_figures(card: ModelCard) -> dict[str, Any]:
    """As the card tells them: its own training, scored at the size that it serves."""
    wanted = ("miou", "mean_dice", "pixel_accuracy")
    return {
        "title": card.architecture,
        "note": card.description,
        "dataset": card.dataset,
        **{name: card.scores[name] for name in wanted if name in card.scores},
        "parameters": card.parameters,
        "version": card.version,
        "commit": card.commit,
    }


def _budget(given: argparse.Namespace, usual: Budget, dataset: str) -> Budget:
    names = ("pictures", "checked_pictures", "epochs", "crop")
    changes = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    if given.crop:
        changes["crop"] = tuple(given.crop)
    return replace(usual, dataset=dataset, **changes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "speed", "cost"])
    names = "; ".join(f"{key}: {', '.join(one.name for one in each.contenders)}" for key, each in COMPARISONS.items())
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"rows; default: all of the comparison's. {names}")
    parser.add_argument("--comparison", choices=COMPARISONS, default="short", help="default: short")
    parser.add_argument("--root", action="append", default=[], metavar="DATASET=FOLDER", help="camvid: real pictures")
    parser.add_argument("--runs", type=Path, default=Path("runs", "architectures"), help="where checkpoints are kept")
    parser.add_argument("--results", type=Path, help="the file that the table is made of; default: the comparison's")
    budget = parser.add_argument_group("budget", "where it is not the comparison's own")
    budget.add_argument("--epochs", type=int)
    budget.add_argument("--pictures", type=int, help="of an epoch")
    budget.add_argument("--checked", type=int, dest="checked_pictures", help="pictures that are scored")
    budget.add_argument("--crop", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--threads", type=int, default=0, help="of the processor, for training; default: PyTorch's")
    parser.add_argument("--afresh", action="store_true", help="forget the rows, or the speeds, that are there")
    return parser


if __name__ == "__main__":
    main()
