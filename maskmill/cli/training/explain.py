"""maskmill explain: the queries by which a Mask2Former sees what it sees in a picture. Needs no server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from maskmill.cli.options import CheckpointOption
from maskmill.cli.output import percent, plain_table, print_json, print_table, stderr, stdout

MAX_PIXELS = 200_000_000


@dataclass(frozen=True, kw_only=True)
class Explaining(CheckpointOption):
    model: Annotated[
        str,
        typer.Argument(
            help="A run by name or folder, a folder of transformers, or with --revision a name on the hub.",
            metavar="MODEL",
            show_default=False,
        ),
    ]
    picture: Annotated[Path, typer.Argument(help="A picture's file.", metavar="PICTURE", show_default=False)]
    out: Annotated[Path, typer.Option(help="Folder for PICTURE.json and PICTURE.png.", metavar="DIR")] = Path(
        "explained"
    )
    top: Annotated[int, typer.Option(help="How many queries.", min=1)] = 5
    runs: Annotated[Path, typer.Option(help="Folder of the runs.", metavar="DIR")] = Path("runs")
    revision: Annotated[str | None, typer.Option(help="Full commit of a model on the hub.", metavar="COMMIT")] = None
    label_space: Annotated[
        str | None, typer.Option(help="Classes of a model that is no run; else cityscapes-19.", metavar="NAME|FILE")
    ] = None


def explain(choices: Explaining) -> None:
    """Show which queries of a Mask2Former saw what: class, score and region, as JSON and as an annotated picture."""
    from segmentation.picture_files.pictures import decode_picture
    from training.explain.picture import draw, write_explanation
    from training.explain.queries import explain as explained
    from training.explain.queries import open_explainable, to_document

    rgb = decode_picture(choices.picture.read_bytes(), max_pixels=MAX_PIXELS)
    with stderr().status(Text(f"Reading {choices.model}")):
        subject = open_explainable(
            choices.model,
            runs=choices.runs,
            revision=choices.revision,
            label_space=choices.label_space,
            checkpoint=choices.checkpoint,
        )
        found = explained(subject, rgb, top=choices.top)
    document = to_document(subject, choices.picture.name, rgb, found)
    picture = draw(rgb, found, subject.space)
    files = write_explanation(document, picture, choices.out / choices.picture.stem)
    if choices.as_json:
        print_json({**document, "files": [str(path) for path in files]})
        return
    table = plain_table("rank", "query", "class", "score", "area", "left, top, width, height", right=("score", "area"))
    for rank, each in enumerate(found, 1):
        area = percent(float(each.region.mean()))
        table.add_row(str(rank), str(each.query), each.class_name, f"{each.score:.3f}", area, str(each.box)[1:-1])
    print_table(table)
    for path in files:
        stdout().print(f"Written: {path}", soft_wrap=True)
