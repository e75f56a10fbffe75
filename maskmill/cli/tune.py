"""`maskmill tune`: measure anew in which engine, precision and streams models run fastest on this machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from maskmill.cli.output import plain_table, print_json, print_table, stderr, stdout
from maskmill.cli.stack import HomeOption

if TYPE_CHECKING:
    from storage.registry.tunings import Tuning

PATIENCE_S = 20.0  # for each model: nobody waits to serve meanwhile, so that no variant is left out for want of time


@dataclass(frozen=True, kw_only=True)
class Choices(HomeOption):
    models: Annotated[list[str] | None, typer.Argument(help="Names of models; all without.", show_default=False)] = None


def tune(choices: Choices) -> None:
    """Find out in which engine, precision and streams models run fastest here; workers use it from their next start."""
    from maskmill.stack.explained import settings_explained, storage_settings
    from storage.catalog import open_catalog
    from worker.runtime import engine_rules, open_tuner
    from worker.settings import WorkerSettings

    storage = storage_settings(choices.home)
    with settings_explained():
        settings = WorkerSettings(home=storage.home)
    catalog = open_catalog(storage)
    bundles = [catalog.get(name) for name in choices.models or [card.name for card in catalog.list()]]
    tuner = open_tuner(settings, storage, engine_rules(settings, bundles), seconds=PATIENCE_S)
    found = {}
    for bundle in bundles:
        with stderr().status(f"running {bundle.card.name} in turns"):
            bundle.verify()
            found[bundle.card.name] = tuner.tune(bundle)
    if choices.as_json:
        print_json({"items": [{"model": name, **asdict(tuning)} for name, tuning in found.items()]})
    else:
        for name, tuning in found.items():
            _show(name, tuning)


def _show(name: str, tuning: Tuning) -> None:
    right = ("streams × threads", "ms per picture", "images/s", "rounds")
    table = plain_table("", name, *right, right=right)
    for each in tuning.timed:
        way = each.way
        figures = (f"{each.median_ms:.3g}", f"{1e3 / each.median_ms:.3g}", str(each.rounds))
        table.add_row("✓" if way == tuning.way else "", way.variant, f"{way.streams} × {way.threads}", *figures)
    if not tuning.timed:
        table.add_row("✓", tuning.way.variant, f"{tuning.way.streams} × {tuning.way.threads}", "–", "–", "–")
    print_table(table)
    for left_out in tuning.left_out:
        stdout().print(f"left out: {left_out}")
