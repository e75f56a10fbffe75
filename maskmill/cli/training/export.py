"""maskmill export: a run becomes a bundle that can be served. Needs no server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from maskmill.cli.options import CheckpointOption, ReplaceOption
from maskmill.cli.output import counting, plain_table, print_json, print_table, stderr, stdout

if TYPE_CHECKING:
    from segmentation.variant import Variant
    from training.export.export import Export


@dataclass(frozen=True, kw_only=True)
class Exporting(CheckpointOption):
    run: Annotated[str, typer.Argument(help="A run, by name or folder.", metavar="RUN", show_default=False)]
    name: Annotated[str, typer.Option(help="Of the model and of its folder.", metavar="NAME")]
    version: Annotated[str, typer.Option(help="Of the model.")] = "1"
    note: Annotated[str, typer.Option(help="A sentence for the card's description.")] = ""
    int8: Annotated[bool, typer.Option("--int8", help="Also a quantised file, where it is worth it.")] = False
    torchscript: Annotated[bool, typer.Option("--torchscript", help="Also a TorchScript file, for GPUs.")] = False
    balance: Annotated[
        bool, typer.Option("--balance", help="Fit an offset of each class to the training pictures, for a higher mIoU.")
    ] = False
    graph: Annotated[
        str, typer.Option(help="`ids`: also a file that gives class ids and confidences instead of logits.")
    ] = "logits"
    tolerance: Annotated[
        float, typer.Option(help="Points of mIoU that a variant may lose; one that loses more is refused.", min=0)
    ] = 0.5
    replace: ReplaceOption = False
    root: Annotated[
        list[str] | None,
        typer.Option(help="Where a data set lies; else runs/datasets/DATASET.", metavar="DATASET=FOLDER"),
    ] = None
    models: Annotated[
        Path | None, typer.Option(help="Publish into this folder; else where `maskmill up` looks.", metavar="DIR")
    ] = None
    runs: Annotated[Path, typer.Option(help="Folder of the runs.", metavar="DIR")] = Path("runs")


def export(given: Exporting) -> None:
    """Publish a run's model: files compared with PyTorch, and a card with what each variant costs and scores."""
    from storage.catalog import Catalog
    from storage.settings import StorageSettings
    from training.export.export import Release, export_run
    from training.recipe.building import parse_roots
    from training.runs import find_run

    if given.graph not in ("logits", "ids"):
        raise typer.BadParameter("logits or ids", param_hint="--graph")
    release = Release(
        name=given.name,
        version=given.version,
        note=given.note,
        torchscript=given.torchscript,
        int8=given.int8,
        ids=given.graph == "ids",
        tolerance=given.tolerance / 100,
        balance=given.balance,
        replace=given.replace,
        checkpoint=given.checkpoint,
    )
    folder = find_run(given.run, given.runs)
    folders = _folders(StorageSettings().model_folders, given.models)
    watch = partial(counting, stderr())
    done = export_run(folder, release, roots=parse_roots(given.root or []), models=Catalog(folders), watch=watch)
    _track(folder, done)
    if given.as_json:
        print_json(_as_json(done, folders[-1]))
    else:
        _show(done, folders[-1])


def _track(folder: Path, done: Export) -> None:
    """Its run in MLflow, where it has one, learns how long inference takes."""
    from training.settings import TrainingSettings
    from training.tracking.note import run_of
    from training.tracking.results import Results, send_results, speeds

    settings = TrainingSettings()
    if not settings.tracks or run_of(folder, settings.resolved_tracking_uri) is None:
        return
    if why := send_results(folder, Results(metrics=speeds(done.card)), settings):
        stderr().print(Text(f"Warning: not sent to MLflow: {why}", style="yellow"), soft_wrap=True)


def _folders(served: Sequence[Path], chosen: Path | None) -> Sequence[Path]:
    """The last one is published into; models of the earlier ones would be hidden by one of the same name."""
    if chosen is None:
        return served
    places = [each.resolve() for each in served]
    earlier = served[: places.index(chosen.resolve())] if chosen.resolve() in places else ()
    return (*earlier, chosen)


def _as_json(done: Export, models: Path) -> Mapping[str, Any]:
    return {
        "folder": str(models / done.card.name),
        "files": dict(done.card.files),
        "scores": dict(done.card.scores),
        "torch_miou": done.torch_miou,
        "variants": [each.to_dict() for each in done.card.variants],
        "agreements": {
            key: {"difference": each.difference, "same_class": each.same_class} for key, each in done.agreements.items()
        },
        "refused": dict(done.refused),
    }


def _show(done: Export, models: Path) -> None:
    console = stdout()
    console.print(f"{models / done.card.name}: {done.card.description}")
    for key, each in done.agreements.items():
        console.print(
            f"{done.card.files[key]}: the largest difference from PyTorch on real pictures is {each.difference:.2g} "
            f"of the largest logit; {each.same_class:.2%} have the same class"
        )
    numbers = ("size", "median", "images/s", "mIoU", "points lost")
    table = plain_table("precision", "engine", "file", *numbers, right=numbers)
    for variant in done.card.variants:
        table.add_row(*_cells(variant, done.torch_miou))
    print_table(table)
    for note in dict.fromkeys(each.note for each in done.card.variants if each.note):
        console.print(f"Note: {note}.")
    for what, why in done.refused.items():
        console.print(f"Refused: {what}: {why}.", style="yellow")


def _cells(variant: Variant, torch_miou: float) -> tuple[str, ...]:
    return (
        variant.precision,
        variant.engine,
        variant.file,
        f"{variant.bytes / 1e6:.2f} MB",
        "not measured" if variant.median_ms is None else f"{variant.median_ms:.1f} ms",
        "–" if variant.images_per_s is None else f"{variant.images_per_s:.1f}",
        "–" if variant.miou is None else f"{variant.miou:.4f}",
        "–" if variant.miou is None else f"{round((torch_miou - variant.miou) * 100, 2) + 0:+.2f}",  # no -0.00
    )
