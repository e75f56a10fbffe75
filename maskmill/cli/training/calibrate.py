"""maskmill models calibrate: a model's confidence fitted to labelled pictures of other streets. Needs no server."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from maskmill.cli.models import card_fields, get_bundle, local_catalog
from maskmill.cli.options import ReplaceOption
from maskmill.cli.output import counted, counting, percent, plain_table, print_json, print_table, stderr, stdout
from maskmill.cli.stack import HomeOption
from maskmill.cli.training.evaluate import DATASETS_SAID, PictureOptions, open_pictures

if TYPE_CHECKING:
    from training.calibrate.calibrate import Calibrated
    from training.calibrate.fitting import Sureness


@dataclass(frozen=True, kw_only=True)
class Calibrating(PictureOptions, HomeOption):
    model: Annotated[str, typer.Argument(help="Name of a model, or folder of a bundle.", show_default=False)]
    dataset: Annotated[str, typer.Argument(help=DATASETS_SAID, metavar="DATASET", show_default=False)]
    name: Annotated[str, typer.Option(help="Of the new model; else the old one's with -calibrated.")] = ""
    replace: ReplaceOption = False
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway", help="Also with pictures that it learnt from, and with a temperature that is found no better."
        ),
    ] = False


def calibrate(choices: Calibrating) -> None:
    """Fit a model's confidence to labelled pictures of your own streets, and serve it beside the model it was."""
    from training.calibrate.calibrate import Order
    from training.calibrate.calibrate import calibrate as publish

    catalog = local_catalog(choices.home)
    bundle = get_bundle(choices.model, catalog)
    order = Order(
        name=choices.name or f"{bundle.card.name}-calibrated",
        pictures=open_pictures(choices.dataset, choices),
        split=choices.split,
        anyway=choices.anyway,
        replace=choices.replace,
    )
    done = publish(bundle, order, models=catalog, watch=partial(counting, stderr()))
    if choices.as_json:
        print_json(_as_json(done, choices))
    else:
        _show(done)


def _as_json(done: Calibrated, choices: Calibrating) -> dict[str, Any]:
    fit = done.fit
    return {
        "model": card_fields(done.bundle.card),
        "folder": str(done.bundle.folder),
        "data": {
            "dataset": choices.dataset,
            "split": choices.split,
            "pictures": done.pictures,
            "pixels": fit.pixels,
            "learnt_pictures": done.overlap.learnt,
            "warning": done.overlap.warning or None,
        },
        "divided_by": fit.temperature,
        "before": asdict(fit.before),
        "checked": None if fit.check is None else asdict(fit.check),
        "better": None if fit.check is None else fit.is_better,
        "tied_pixels": dict(done.tied),
        "left_out": list(done.left_out),
    }


def _show(done: Calibrated) -> None:
    fit, card, console = done.fit, done.bundle.card, stdout()
    if done.overlap.warning:
        console.print(Text(f"Warning: {done.overlap.warning}", style="yellow"), soft_wrap=True)
    columns = ("mean confidence", "pixel accuracy", "calibration error", "cross-entropy")
    table = plain_table(f"on {counted(done.pictures, 'picture')}", *columns, right=columns)
    table.add_row("as it was", *_cells(fit.before))
    if fit.check is not None:
        table.add_row("fitted to the other half", *_cells(fit.check.after))
    print_table(table)
    if fit.check is None:
        said = "one picture, or too little that is labelled: whether the temperature holds on others was not checked"
        console.print(Text(f"Warning: {said}", style="yellow"), soft_wrap=True)
    elif not fit.is_better:
        console.print(Text("Warning: the temperature was found no better on the other half", style="yellow"))
    else:
        first, second = fit.check.temperatures
        console.print(f"The halves alone: divided by {first:g} and by {second:g}.")
    for file, count in done.tied.items():
        if count:
            said = f"in {counted(count, 'pixel')} of these pictures two classes were equal, and the other one wins now"
            console.print(f"{file}: {said}", soft_wrap=True)
    for file in done.left_out:
        console.print(f"Left out: {file}, whose end cannot be changed; the ONNX file runs on GPUs too.", soft_wrap=True)
    console.print(
        f"{card.name} divides its logits by {fit.temperature:g} more (temperature {card.temperature:g}); it is in "
        f"{done.bundle.folder}, and a running worker serves it",
        soft_wrap=True,
    )


def _cells(each: Sureness) -> tuple[str, ...]:
    return (
        percent(each.confidence),
        percent(each.accuracy),
        f"{each.calibration_error:.4f}",
        f"{each.cross_entropy:.4f}",
    )
