"""maskmill compare: two or more models on the same labelled pictures, as one HTML page. Needs no server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from maskmill.cli.output import counting, percent, plain_table, print_json, print_table, stderr, stdout
from maskmill.cli.training.evaluate import DataOptions, open_model, open_pictures, require_writable
from maskmill.cli.training.tracking import TrackOption, measured_on, track

if TYPE_CHECKING:
    from training.compare import Comparison
    from training.datasets.pairs import PairDataset
    from training.evaluate.evaluation import Latency
    from training.evaluate.subjects import Subject


@dataclass(frozen=True, kw_only=True)
class Comparing(DataOptions, TrackOption):
    subjects: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: bundles or runs, by name or folder, or models:/NAME@ALIAS.",
            metavar="MODEL MODEL…",
            show_default=False,
        ),
    ]
    data: Annotated[
        str,
        typer.Option(
            help="camvid, cityscapes, coco, folder, job (or job_results), oxford_pets, scenes or voc.",
            metavar="DATASET",
        ),
    ] = "scenes"
    out: Annotated[Path, typer.Option(help="The page; comparison.json is written beside it.", metavar="FILE")] = Path(
        "comparison.html"
    )
    title: Annotated[str, typer.Option(help="Of the page; else the models' names.")] = ""
    disputed: Annotated[int, typer.Option(help="Show so many pictures on which the models differ most.", min=0)] = 4
    drawn: Annotated[int, typer.Option(help="Show so many more, drawn with --seed.", min=0)] = 2
    published_colours: Annotated[
        bool, typer.Option("--published-colours", help="Masks in the label space's own colours, not the safe ones.")
    ] = False
    no_speed: Annotated[bool, typer.Option("--no-speed", help="Do not measure how long inference takes.")] = False
    threads: Annotated[int, typer.Option(help="Of the processor, for the speed; 0: all.", min=0)] = 0


def compare(choices: Comparing) -> None:
    """Compare models on the same pictures: one HTML page with figures, pictures and what they say."""
    from training.compare import Choices, Grid
    from training.compare import compare as compare_models
    from training.spaces import find_label_space

    console = stderr()
    subjects = [_opened(reference, choices) for reference in choices.subjects]
    require_writable(choices.out, choices.out.with_name("comparison.json"))
    pictures = open_pictures(choices.data, choices)
    with counting(console, "Comparing", len(pictures)) as advance:
        found = compare_models(
            subjects,
            pictures,
            choices.out,
            choices=Choices(
                split=choices.split,
                space=find_label_space(choices.label_space) if choices.label_space else None,
                grid=Grid(disputed=choices.disputed, drawn=choices.drawn, seed=choices.seed),
                latency=None if choices.no_speed else _timer(console, pictures, choices.threads),
                title=choices.title,
                colour_blind_safe=not choices.published_colours,
            ),
            on_picture=lambda _: advance(),
        )
    if choices.track:
        _track(choices, subjects, pictures, found)
    if choices.as_json:
        print_json({"page": str(choices.out), **found.to_dict()})
    else:
        _show(found, choices.out)


def _opened(reference: str, choices: Comparing) -> Subject:
    """Raises as `open_model`; a data set among the models, where `evaluate` takes it, is told where it belongs."""
    from training.datasets import DATASETS
    from training.evaluate.subjects import SubjectNotFound

    try:
        return open_model(reference, choices)
    except SubjectNotFound as error:
        if reference not in DATASETS:
            raise
        raise SubjectNotFound(f"{error}; the data set is named by --data {reference}") from None


def _track(choices: Comparing, subjects: Sequence[Subject], pictures: PairDataset, found: Comparison) -> None:
    """Each model's run gets its own numbers, and the page of all."""
    from training.tracking.results import scored, timed

    files = {"html": choices.out, "json": choices.out.with_name("comparison.json")}
    texts = {end: path.read_text(encoding="utf-8") for end, path in files.items()}
    for reference, subject, entry in zip(choices.subjects, subjects, found.entries, strict=True):
        latencies = [] if entry.latency is None else [entry.latency]
        measured = measured_on(choices.data, choices, pictures, subject=subject, found=entry.evaluation)
        reports = {f"comparison-{measured}.{end}": text for end, text in texts.items()}
        track(reference, subject, scored(entry.scores, measured) | timed(latencies), reports)


def _timer(console: Console, pictures: PairDataset, threads: int) -> Callable[[Sequence[Subject]], Sequence[Latency]]:
    """Times the models in turns on the first picture, each in the engine that was scored."""
    from training.evaluate.latency import Turns, measure_in_turns

    def time_all(subjects: Sequence[Subject]) -> Sequence[Latency]:
        turns = Turns()
        with counting(console, "Timing   ", turns.rounds) as advance:
            return measure_in_turns(subjects, pictures[0][0], threads=threads, turns=turns, on_round=advance)

    return time_all


def _show(found: Comparison, page: Path) -> None:
    from training.compare.readings import letter, summary

    console = stdout()
    table = plain_table(
        "", "model", "mIoU", "95 % interval", "pixel accuracy", "latency ms", right=("mIoU", "latency ms")
    )
    for number, entry in enumerate(found.entries):
        ends = entry.interval
        interval = "–" if ends is None else f"{ends.low * 100:.1f} to {ends.high * 100:.1f}"
        latency = "–" if entry.latency is None else f"{entry.latency.median_ms:.1f}"
        numbers = (percent(entry.miou), interval, percent(entry.scores["pixel_accuracy"]), latency)
        table.add_row(letter(number), entry.name, *numbers)
    print_table(table)
    for sentence in summary(found):
        console.print(f"- {sentence}", soft_wrap=True, markup=False)
    console.print(f"The page: {page}", soft_wrap=True, markup=False)
