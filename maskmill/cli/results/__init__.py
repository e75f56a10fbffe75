"""`maskmill jobs`: the list of jobs, and what is done with the results of one."""

from __future__ import annotations

import typer

from maskmill.cli import jobs
from maskmill.cli.models import DEFAULT, ListAlone
from maskmill.cli.options import command
from maskmill.cli.results import corrections, worst

app = typer.Typer(cls=ListAlone, help="List jobs; see the worst images of one, send corrections.")

command(app, DEFAULT)(jobs.jobs)
command(app, "corrections")(corrections.corrections)
command(app, "worst")(worst.worst)
