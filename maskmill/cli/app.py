"""All commands in one place."""

from __future__ import annotations

from typing import Annotated

import typer

from maskmill.cli import images, jobs, keys, models, stack, tune, webhooks
from maskmill.cli.exits import MEANING
from maskmill.cli.models import DEFAULT, ListAlone
from maskmill.cli.options import command
from maskmill.cli.results import corrections, film, report, worst
from maskmill.cli.training import calibrate, compare, evaluate, explain, export, promote, train

HELP = "Batches of street images in; segmentation masks, metrics and archives out."
EXITS = "; ".join(f"{code} {meaning}" for code, meaning in MEANING.items())
EPILOG = f"MASKMILL_API_KEY: the key for a service that asks for one. Exit codes: {EXITS}."

app = typer.Typer(
    name="maskmill",
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

command(app, "up", needs="local")(stack.up)
command(app, "down", needs="local")(stack.down)
command(app, "demo", needs="local")(stack.demo)
command(app, "doctor", needs="local")(stack.doctor)
command(app, "backup", needs="local")(stack.backup)
command(app, "restore", needs="local")(stack.restore)
command(app, "tune", needs="local")(tune.tune)
command(app, "submit")(jobs.submit)
command(app, "images")(images.images)
command(app, "watch")(jobs.watch)
command(app, "cancel")(jobs.cancel)
command(app, "retry")(jobs.retry)
command(app, "download")(jobs.download)
command(app, "delete")(jobs.delete)
command(app, "film")(film.film)
command(app, "report", needs="local")(report.report)
command(app, "train")(train.train)
command(app, "search")(train.search)
command(app, "evaluate")(evaluate.evaluate)
command(app, "compare")(compare.compare)
command(app, "explain")(explain.explain)
command(app, "export")(export.export)
command(app, "promote")(promote.promote)
command(models.app, "calibrate")(calibrate.calibrate)
of_jobs = typer.Typer(cls=ListAlone, help="List jobs; see the worst images of one, send corrections.")
command(of_jobs, DEFAULT)(jobs.jobs)
command(of_jobs, "corrections")(corrections.corrections)
command(of_jobs, "worst")(worst.worst)
app.add_typer(of_jobs, name="jobs")
app.add_typer(models.app, name="models")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(keys.app, name="keys")


def _version(wanted: bool) -> None:
    if wanted:
        from maskmill.installed import our_version

        print(our_version() or "from source")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass
