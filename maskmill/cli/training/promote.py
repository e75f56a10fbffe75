"""maskmill promote: a run or bundle becomes the version that servers follow. Needs no server of ours."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from maskmill.cli.options import JsonOption, ReplaceOption
from maskmill.cli.output import counting, print_json, stderr, stdout


@dataclass(frozen=True, kw_only=True)
class Promoting(JsonOption):
    what: Annotated[
        str,
        typer.Argument(
            help="A run (name or folder), a bundle's folder, or models:/NAME/VERSION.",
            metavar="RUN|BUNDLE|MODEL",
            show_default=False,
        ),
    ]
    alias: Annotated[str, typer.Option(help="What servers follow.", metavar="ALIAS")] = "champion"
    name: Annotated[str, typer.Option(help="In the registry; else the run's or the bundle's own.", metavar="NAME")] = ""
    int8: Annotated[bool, typer.Option("--int8", help="When exporting: also a quantised file.")] = False
    replace: ReplaceOption = False
    root: Annotated[
        list[str] | None,
        typer.Option(help="Where a data set lies; else runs/datasets/DATASET.", metavar="DATASET=FOLDER"),
    ] = None
    runs: Annotated[Path, typer.Option(help="Folder of the runs.", metavar="DIR")] = Path("runs")
    registry: Annotated[
        str | None,
        typer.Option(help="MLflow: http://host:port or sqlite:///path; else as the settings say.", metavar="URI"),
    ] = None


def promote(given: Promoting) -> None:
    """Register a run or bundle, and let an alias name it: who follows it serves it within seconds."""
    from storage.catalog import Catalog
    from storage.settings import StorageSettings
    from training.promote.promote import Wish
    from training.promote.promote import promote as promoted
    from training.promote.registry import open_registry
    from training.settings import TrainingSettings

    settings = TrainingSettings() if given.registry is None else TrainingSettings(tracking_uri=given.registry)
    wish = Wish(
        alias=given.alias,
        name=given.name,
        bundled=Catalog(StorageSettings().model_folders[:-1]),
        replace=given.replace,
        runs=given.runs,
        int8=given.int8,
        roots=_roots(given.root) if given.root else {},
        watch=partial(counting, stderr()),
    )
    done = promoted(given.what, wish, open_registry(settings))
    if given.as_json:
        print_json(asdict(done))
        return
    now = f"models:/{done.name}@{done.alias} is version {done.version} now"
    if done.before == done.version:
        stdout().print(f"{now}, as before")
    elif done.before is None:
        stdout().print(f"{now}; it named none before")
        follow = shlex.quote(json.dumps([f"models:/{done.name}@{done.alias}"]))
        stdout().print(f"Workers serve it that follow it: MASKMILL_WORKER_FOLLOW={follow} maskmill up", soft_wrap=True)
    else:
        stdout().print(f"{now}; before it was version {done.before}")
        more = f"{' --replace' if given.replace else ''}{_again('--registry', given.registry)}"
        stdout().print(f"Go back: maskmill promote models:/{done.name}/{done.before} --alias {done.alias}{more}")


def _again(option: str, value: str | None) -> str:
    return "" if value is None else f" {option} {shlex.quote(value)}"


def _roots(texts: list[str]) -> dict[str, Path]:
    from training.recipe.building import parse_roots  # PyTorch comes with it

    return parse_roots(texts)
