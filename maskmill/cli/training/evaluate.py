"""maskmill evaluate: scores of a model on labelled pictures, and how long one inference takes. Needs no server."""

from __future__ import annotations

import errno
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from maskmill.cli.options import CheckpointOption, JsonOption
from maskmill.cli.output import counted, counting, percent, plain_table, print_json, print_table, stderr, stdout
from maskmill.cli.training.tracking import TrackOption, measured_on, track
from maskmill.errors import InvalidInput

if TYPE_CHECKING:
    from segmentation.label_space import LabelSpace
    from training.compare import Comparison
    from training.datasets.checking import UnknownIds
    from training.datasets.pairs import PairDataset
    from training.evaluate.evaluation import Evaluation, Latency
    from training.evaluate.subjects import Subject

DATASETS_SAID = "camvid, cityscapes, coco, folder, job (or job_results), oxford_pets, scenes or voc."
WORST_SHOWN = 8  # pictures of a page
# The single scores in the order in which they are shown.
SCORES = {
    "miou": "mean IoU",
    "mean_dice": "mean Dice",
    "global_dice": "global Dice",
    "pixel_accuracy": "pixel accuracy",
    "frequency_weighted_iou": "frequency-weighted IoU",
    "mean_auc": "mean area under ROC",
    "mean_ap": "mean average precision",
    "ece": "expected calibration error",
}


@dataclass(frozen=True, kw_only=True)
class PictureOptions(JsonOption):
    """Which labelled pictures."""

    root: Annotated[
        list[str] | None,
        typer.Option(help="Where a data set lies; else runs/datasets/DATASET.", metavar="DATASET=FOLDER"),
    ] = None
    split: Annotated[str, typer.Option(help="Part of the data set.")] = "val"
    count: Annotated[int, typer.Option(help="Only so many pictures, drawn with --seed; 0: all.", min=0)] = 0
    share: Annotated[float, typer.Option(help="Only this share of the pictures, drawn with --seed.")] = 1.0
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the data set, as in recipes.", metavar="NAME=VALUE")
    ] = None
    unknown_ids: Annotated[
        str, typer.Option(help="Ids in masks that their label space does not know: error or ignore.")
    ] = "error"


@dataclass(frozen=True, kw_only=True)
class DataOptions(PictureOptions):
    """In which classes, and where models lie; shared by the commands that score models."""

    label_space: Annotated[
        str | None, typer.Option(help="Score in these classes; else in what model and data share.", metavar="NAME|FILE")
    ] = None
    models: Annotated[Path | None, typer.Option(help="One more folder of bundles.", metavar="DIR")] = None
    runs: Annotated[Path, typer.Option(help="Folder of the runs.", metavar="DIR")] = Path("runs")


@dataclass(frozen=True, kw_only=True)
class Evaluating(DataOptions, CheckpointOption, TrackOption):
    subject: Annotated[
        str,
        typer.Argument(
            help="A bundle or run, by name or folder, or models:/NAME@ALIAS.", metavar="MODEL", show_default=False
        ),
    ]
    dataset: Annotated[
        str,
        typer.Argument(help=DATASETS_SAID, metavar="DATASET", show_default=False),
    ]
    engine: Annotated[
        str | None, typer.Option(help="Score and time in this one alone, as `openvino bf16` or `onnxruntime int8`.")
    ] = None
    no_speed: Annotated[bool, typer.Option("--no-speed", help="Do not measure how long inference takes.")] = False
    threads: Annotated[int, typer.Option(help="Of the processor, for the speed; 0: all.", min=0)] = 0
    out: Annotated[
        Path | None, typer.Option(help="Write everything, counts and curves too, as JSON.", metavar="FILE")
    ] = None
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page: confusions, classes, ROC and PR curves, worst pictures.", metavar="FILE"),
    ] = None


def evaluate(choices: Evaluating) -> None:
    """Score a model on labelled pictures, by one formula for all models, and time its inference."""
    from training.evaluate.held_out import overlap
    from training.runs import write_text
    from training.spaces import common_space, find_label_space

    console = stderr()
    subject = open_model(choices.subject, choices, choices.checkpoint)
    subject = subject.on(choices.engine) if choices.engine else subject
    require_writable(*filter(None, (choices.out, choices.html)))
    pictures = open_pictures(choices.dataset, choices)
    wanted = choices.label_space
    space = find_label_space(wanted) if wanted else common_space([subject.space, pictures.space])
    _tell_of_unmarked(space, pictures, subject)
    with counting(console, "Scoring  ", len(pictures)) as advance:
        page = _examined(subject, pictures, space, choices, advance) if choices.html else None
        total = page.entries[0].evaluation if page else _scored(subject, pictures, space, advance)
    latencies = [] if choices.no_speed else _timed(console, subject, pictures, choices.threads)
    found = overlap(subject, pictures, split=choices.split)
    report = _report(choices, subject, total, latencies)
    report["data"] |= {"learnt_pictures": found.learnt, "warning": found.warning or None}
    whole = _whole(report, pictures, total)
    if choices.out is not None:
        write_text(choices.out, whole)
    if choices.html is not None and page is not None:
        from training.compare import show_alone

        show_alone(page, choices.html, latency=latencies[0] if latencies else None)
    if choices.track:
        _track(choices, subject, pictures, (total, latencies, whole))
    if choices.as_json:
        print_json(report)
    else:
        _show(report, pictures)


def _tell_of_unmarked(space: LabelSpace, pictures: PairDataset, subject: Subject) -> None:
    """Classes that the model can say and no mask of these can show: each is an error wherever it is said."""
    never_said = space.missing_from(subject.space)
    unmarked = ", ".join(each.name for each in space.missing_from(pictures.space) if each not in never_said)
    if unmarked:
        said = f"Warning: masks in {pictures.space.name} cannot show {unmarked}: to say so is an error"
        said += ", and the means leave these classes out"
        stderr().print(Text(said, style="yellow"), soft_wrap=True)


def _scored(subject: Subject, pictures: PairDataset, space: LabelSpace, advance: Callable[[], None]) -> Evaluation:
    from training.datasets.pairs import InSpace
    from training.evaluate.evaluation import Evaluation
    from training.evaluate.scoring import Scorer, evaluations

    truth = InSpace(pictures, space)
    scorer, total = Scorer(subject.space, space), Evaluation.nothing(space, truth.unmarked)
    for one in evaluations(subject.predict, truth, preprocessing=subject.preprocessing, scorer=scorer):
        total += one
        advance()
    return total


def _examined(
    subject: Subject, pictures: PairDataset, space: LabelSpace, choices: Evaluating, advance: Callable[[], None]
) -> Comparison:
    """The same with what a page shows: intervals and the worst pictures."""
    from training.compare import Choices, Grid, examine_alone

    grid = Grid(disputed=WORST_SHOWN, drawn=0, seed=choices.seed)
    wanted = Choices(split=choices.split, space=space, grid=grid)
    return examine_alone(subject, pictures, choices=wanted, on_picture=lambda _: advance())


def open_model(reference: str, choices: DataOptions, checkpoint: str = "") -> Subject:
    """Raises SubjectNotFound, and what is wrong with the bundle or run."""
    from storage.catalog import CARD
    from storage.settings import StorageSettings
    from training.evaluate.subjects import open_subject
    from training.runs import CHECKPOINT

    folders = [*StorageSettings().model_folders, *([choices.models] if choices.models else [])]
    subject = open_subject(reference, models=folders, runs=choices.runs, checkpoint=checkpoint)
    run = choices.runs / reference
    if subject.folder is None and (run / CHECKPOINT).is_file() and not (Path(reference) / CARD).is_file():
        said = f"Warning: {reference} is the bundle (version {_version(subject)}); the run of this name is {run}"
        stderr().print(Text(said, style="yellow"), soft_wrap=True)
    return subject


def _version(subject: Subject) -> str | None:
    return None if subject.card is None else subject.card.version


def require_writable(*files: Path) -> None:
    """Asked before long work of which they are to be the result. Their folders are made. Raises OSError, and
    InvalidInput where two of them are one file."""
    if len({each.resolve() for each in files}) < len(files):
        raise InvalidInput(f"{files[0]} would be written twice: name two files")
    for file in files:
        try:
            if file.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=file.parent):
                pass
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(file)) from error


def open_pictures(dataset: str, choices: PictureOptions) -> PairDataset:
    """Every file looked at. Raises RecipeError for an unknown data set or option, DatasetError for its files, and
    for one without masks."""
    from training.datasets.checking import check_pictures, count_pictures
    from training.datasets.pairs import DatasetError
    from training.recipe.building import open_dataset, parse_roots
    from training.recipe.recipe import DataChoice

    choice = DataChoice(
        dataset=dataset,
        split=choices.split,
        count=choices.count,
        share=choices.share,
        options=_options(choices.option or []),
    )
    if choices.unknown_ids not in ("error", "ignore"):
        raise typer.BadParameter("error or ignore", param_hint="--unknown-ids")
    pictures, console = open_dataset(choice, parse_roots(choices.root or []), seed=choices.seed), stderr()
    if pictures.is_unlabelled:
        raise DatasetError(f"{pictures.about.title}: a model can be scored on pictures with masks alone")
    rule: UnknownIds = "ignore" if choices.unknown_ids == "ignore" else "error"
    with counting(console, "Checking ", count_pictures([pictures])) as advance:
        told = check_pictures([pictures], unknown_ids=rule, on_picture=advance)
    for sentence in told:
        console.print(Text(sentence, style="yellow"), soft_wrap=True)
    return pictures


def _options(texts: Sequence[str]) -> dict[str, Any]:
    """`["scene_count=5", "label_space=camvid-11"]`; a value that is JSON is taken as such."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"--option {text}: expected NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _timed(console: Console, subject: Subject, pictures: PairDataset, threads: int) -> list[Latency]:
    from training.evaluate.latency import measure_latency

    picture, _ = pictures[0]
    with counting(console, "Timing   ", len(subject.engines)) as advance:
        found = []
        for engine in subject.engines:
            found.append(measure_latency(subject, picture, engine=engine, threads=threads))
            advance()
    return found


def _report(choices: Evaluating, subject: Subject, total: Evaluation, latencies: Sequence[Latency]) -> dict[str, Any]:
    """Plain values, null where a number is not defined."""
    missing = total.space.missing_from(subject.space)
    scores = total.scores(without=[each.id for each in missing])
    true_pixels = total.confusion.sum(axis=1)
    classes = [
        {
            "name": name,
            "iou": scores[f"iou/{name}"],
            "dice": scores[f"dice/{name}"],
            "auc": total.roc(name).area,
            "ap": total.pr(name).area,
            "share": float(true_pixels[class_id] / max(1, true_pixels.sum())),
        }
        for class_id, name in zip(total.class_ids, total.class_names, strict=True)
    ]
    content = {
        "model": {
            "name": subject.name,
            "version": _version(subject),
            "checkpoint": subject.checkpoint or None,
            "architecture": subject.architecture,
            "label_space": subject.space.name,
            "parameters": subject.parameters,
            "size_bytes": subject.size_bytes,
            "engine": next(iter(subject.engines)),
        },
        "data": {"dataset": choices.dataset, "split": choices.split, "pictures": total.picture_count},
        "label_space": total.space.name,
        "impossible_classes": [each.name for each in missing],
        "unmarked_classes": [total.space.name_of(each) for each in sorted(total.unmarked)],
        "scores": {name: scores[name] for name in SCORES},
        "classes": classes,
        "latency": [each.to_dict() for each in latencies],
    }
    plain: dict[str, Any] = _without_nan(content)
    return plain


def _track(
    choices: Evaluating, subject: Subject, pictures: PairDataset, found: tuple[Evaluation, Sequence[Latency], str]
) -> None:
    """found: counts, speeds, and the whole report."""
    from training.tracking.results import scored, timed

    total, latencies, whole = found
    data = measured_on(choices.dataset, choices, pictures, subject=subject, found=total)
    data += f"-{choices.engine}" if choices.engine else ""
    scores = total.scores(without=[each.id for each in total.space.missing_from(subject.space)])
    reports = {f"evaluation-{data}.json": whole}
    if choices.html is not None:
        reports[f"evaluation-{data}.html"] = choices.html.read_text(encoding="utf-8")
    track(choices.subject, subject, scored(scores, data) | timed(latencies), reports)


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _whole(report: Mapping[str, Any], pictures: PairDataset, total: Evaluation) -> str:
    """The report with counts and curves, as JSON."""
    content = {**report, "pictures": pictures.names(), "evaluation": json.loads(total.to_json())}
    return json.dumps(content, indent=1)


def _show(report: Mapping[str, Any], pictures: PairDataset) -> None:
    model, data, console = report["model"], report["data"], stdout()
    console.print(
        Text.assemble(
            (model["name"], "bold"),
            f" ({', '.join(filter(None, (model['architecture'], model['checkpoint'])))}, "
            f"{model['parameters'] / 1e6:.2f} M parameters, "
            f"{model['size_bytes'] / 1e6:.1f} MB) on {counted(data['pictures'], 'picture')} of {pictures.about.title} "
            f"({_split(data)}), scored in {report['label_space']}, run by {model['engine']}",
        ),
        soft_wrap=True,
    )
    if data["warning"]:
        console.print(Text(f"Warning: {data['warning']}", style="yellow"), soft_wrap=True)
    if report["impossible_classes"]:
        said = (
            f"{model['label_space']} has no {', '.join(report['impossible_classes'])}: the means are taken without them"
        )
        console.print(Text(f"Warning: {said}", style="yellow"), soft_wrap=True)
    table = plain_table("score", "value", right=("value",))
    for name, label in SCORES.items():
        table.add_row(label, percent(report["scores"][name]))
    print_table(table)
    print_table(_class_table(report["classes"]))
    if report["latency"]:
        print_table(_latency_table(report["latency"]))


def _split(data: Mapping[str, Any]) -> str:
    learnt = data["learnt_pictures"]
    return f"{data['split']}, {learnt} of them learnt from" if learnt else str(data["split"])


def _class_table(classes: Sequence[Mapping[str, Any]]) -> Any:
    numbers = ("IoU", "Dice", "ROC area", "avg. precision", "of true pixels")
    table = plain_table("class", *numbers, right=numbers)
    for each in classes:
        table.add_row(each["name"], *(percent(each[name]) for name in ("iou", "dice", "auc", "ap", "share")))
    return table


def _latency_table(latencies: Sequence[Mapping[str, Any]]) -> Any:
    numbers = ("input", "threads", "median ms", "p90 ms", "images/s")
    table = plain_table("inference alone", *numbers, right=numbers)
    for each in latencies:
        height, width = each["size"]
        speed = (f"{each['median_ms']:.1f}", f"{each['p90_ms']:.1f}", f"{each['images_per_s']:.1f}")
        table.add_row(f"{each['engine']} ({each['device']})", f"{width}×{height}", str(each["threads"]), *speed)
    return table
