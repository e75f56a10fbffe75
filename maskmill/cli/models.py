"""Commands about models: list, pull, add, check, remove."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from maskmill.cli.address import connect
from maskmill.cli.options import ReplaceOption, ServerOptions, command
from maskmill.cli.output import percent, plain_table, print_json, print_table, program, stderr, stdout
from maskmill.cli.stack import HomeOption
from maskmill.errors import InvalidInput

if TYPE_CHECKING:
    from segmentation.model_card import ModelCard
    from storage.catalog import Catalog
    from storage.hub_catalog import HubModel
    from training.bring.check import CheckReport
    from training.hub.named import NamedModel

DEFAULT = "list"


class ListAlone(TyperGroup):
    """`maskmill models` is `maskmill models list`; so with every noun that has a list."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        asks_for_help = bool(args) and args[0] in ctx.help_option_names
        if not asks_for_help and (not args or args[0].startswith("-")):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=ListAlone, help="List models, fetch them from the hub, add and check your own.")


@dataclass(frozen=True, kw_only=True)
class Listing(ServerOptions):
    local: Annotated[bool, typer.Option("--local", help="The bundles on this machine, without a server.")] = False
    hub: Annotated[bool, typer.Option("--hub", help="What can be pulled.")] = False
    home: Annotated[Path | None, typer.Option(help="Folder of everything local.", metavar="DIR")] = None


def list_models(choices: Listing) -> None:
    """List the models of the server; with --local those on this machine, with --hub those that can be pulled."""
    if choices.hub:
        _list_hub(choices)
    elif choices.local:
        _list_local(choices)
    else:
        _list_served(choices)


@dataclass(frozen=True, kw_only=True)
class Pulling(HomeOption):
    model: Annotated[
        str,
        typer.Argument(
            help="A name from `maskmill models list --hub`, or a repository at a full commit.",
            metavar="NAME|OWNER/NAME@COMMIT",
            show_default=False,
        ),
    ]
    name: Annotated[str | None, typer.Option(help="What it is called here; else the same.")] = None
    architecture: Annotated[
        str | None, typer.Option(help="Of a repository: segformer or mask2former.", metavar="NAME")
    ] = None
    label_space: Annotated[
        str | None,
        typer.Option(help="Of a repository: what its classes mean, a name or a JSON file.", metavar="NAME|FILE"),
    ] = None
    revision: Annotated[
        str | None, typer.Option(help="Another commit, branch or pull request of the repository.", metavar="REV")
    ] = None
    accept_revision: Annotated[
        str | None, typer.Option(help="Take this commit, which you have looked at.", metavar="SHA")
    ] = None
    unpinned: Annotated[bool, typer.Option("--unpinned", help="Take whatever is there now.")] = False
    long_side: Annotated[int | None, typer.Option(help="Pixels of the longer side that the network sees.", min=32)] = (
        None
    )
    folder: Annotated[
        Path | None, typer.Option(help="Its files, fetched by other means (config.json, *.safetensors).", metavar="DIR")
    ] = None
    replace: ReplaceOption = False


def pull(choices: Pulling) -> None:
    """Fetch a model from the Hugging Face hub and make it servable. Its licence is its authors': read it."""
    console, model = stderr(), _wanted(choices)

    from training.hub.bundle import Order
    from training.hub.bundle import pull as fetch
    from training.hub.files import Consent  # these take seconds

    at = choices.model.partition("@")[2] or choices.revision
    order = Order(
        model=model,
        name=choices.name or model.name,
        models=local_catalog(choices.home),
        consent=Consent(revision=at, accepted=choices.accept_revision, unpinned=choices.unpinned),
        long_side=choices.long_side,
        folder=choices.folder,
        replace=choices.replace,
    )
    bundle = fetch(order, lambda line: console.print(Text(line), soft_wrap=True))
    if choices.as_json:
        print_json({"model": card_fields(bundle.card), "folder": str(bundle.folder)})
        return
    stdout().print(f"{bundle.card.name} is in {bundle.folder}; a running worker serves it", soft_wrap=True)
    stdout().print(f"Try it on the samples:  {program()} models check {bundle.card.name}", soft_wrap=True)


def _wanted(choices: Pulling) -> HubModel | NamedModel:
    """An entry of the catalogue, whose licence is shown, or what the user says of a repository."""
    if "/" not in choices.model:
        from storage.hub_catalog import get_hub_model

        model = get_hub_model(choices.model)
        if choices.architecture or choices.label_space:
            raise InvalidInput(
                f"the catalogue knows {model.name}: --architecture and --label-space are of OWNER/NAME@COMMIT"
            )
        stderr().print(Text(f"{model.name}: {model.licence}\n  {model.licence_url}", style="yellow"), soft_wrap=True)
        return model

    from training.hub.named import NamedModel

    if choices.revision or choices.accept_revision or choices.unpinned:
        raise InvalidInput("a repository is taken at the commit behind its @ alone: OWNER/NAME@COMMIT")
    hub, _, commit = choices.model.partition("@")
    return NamedModel(
        hub=hub, revision=commit, architecture=choices.architecture or "", label_space=choices.label_space or ""
    )


@dataclass(frozen=True, kw_only=True)
class Adding(HomeOption):
    file: Annotated[Path, typer.Argument(help="FILE.onnx or FILE.torchscript.", show_default=False)]
    card: Annotated[Path | None, typer.Option(help="What to know about it: a TOML or JSON file.", metavar="FILE")] = (
        None
    )
    name: Annotated[str | None, typer.Option(help="What it is called here.")] = None
    label_space: Annotated[
        str | None, typer.Option(help="What its classes mean, in order: a name or a JSON file.", metavar="NAME|FILE")
    ] = None
    long_side: Annotated[int | None, typer.Option(help="Pixels of the longer side; any proportions.", min=1)] = None
    height: Annotated[int | None, typer.Option(help="Where one size alone works: its height.", min=1)] = None
    width: Annotated[int | None, typer.Option(help="… and its width.", min=1)] = None
    multiple_of: Annotated[int | None, typer.Option(help="Both sides are multiples of this; 32 usually.", min=1)] = None
    mean: Annotated[str | None, typer.Option(help="Of red, green, blue in 0..1; else ImageNet's.", metavar="R,G,B")] = (
        None
    )
    std: Annotated[str | None, typer.Option(help="Likewise.", metavar="R,G,B")] = None
    output: Annotated[str | None, typer.Option(help="Name of the logits, where a graph has several outputs.")] = None
    model_version: Annotated[str | None, typer.Option("--model-version", help="Else 1.")] = None
    architecture: Annotated[str | None, typer.Option(help="For people.")] = None
    description: Annotated[str | None, typer.Option(help="For people.")] = None
    source: Annotated[str | None, typer.Option(help="Where it comes from.")] = None
    licence: Annotated[str | None, typer.Option(help="Under which terms.")] = None
    replace: ReplaceOption = False


def add(choices: Adding) -> None:
    """Check a model file of your own in every runtime that would serve it, then serve it."""
    from data.sample_library import open_samples
    from maskmill.cli.training.runtimes import open_all
    from training.bring.card import own_card, read_own_card
    from training.bring.publish import add as publish

    if not choices.file.is_file():
        raise InvalidInput(f"{choices.file}: no such file")
    given = read_own_card(choices.card) if choices.card else {}
    about = own_card(_with_options(given, choices))
    with stderr().status(Text(f"checking {choices.file.name} on {SAMPLES_SAID}")):
        added = publish(
            choices.file,
            about,
            models=local_catalog(choices.home),
            samples=open_samples(),
            open_all=open_all,
            replace_other=choices.replace,
        )
    _show_check(added.bundle.card, added.reports, choices)
    if not choices.as_json:
        stdout().print(
            f"{added.bundle.card.name} is in {added.bundle.folder}; a running worker serves it", soft_wrap=True
        )


@dataclass(frozen=True, kw_only=True)
class Checking(HomeOption):
    model: Annotated[str, typer.Argument(help="Name of a model, or folder of a bundle.", show_default=False)]


def check(choices: Checking) -> None:
    """Verify a model's checksums, load it, run it on the samples; print speed and mIoU."""
    from data.sample_library import open_samples
    from maskmill.cli.training.runtimes import open_all
    from training.bring.publish import check_bundle

    bundle = get_bundle(choices.model, local_catalog(choices.home))
    with stderr().status(f"running {bundle.card.name} on {SAMPLES_SAID}"):
        reports = check_bundle(bundle, samples=open_samples(), open_all=open_all)
    _show_check(bundle.card, reports, choices)


@dataclass(frozen=True, kw_only=True)
class Removing(HomeOption):
    model: Annotated[str, typer.Argument(help="Name of a model of your own.", show_default=False)]


def remove(choices: Removing) -> None:
    """Take a model of your own out of service and delete it. Those that came with Maskmill stay."""
    local_catalog(choices.home).remove(choices.model)
    if choices.as_json:
        print_json({"removed": choices.model})
    else:
        stdout().print(f"{choices.model} is removed")


command(app, DEFAULT, needs="local")(list_models)
command(app, "pull")(pull)
command(app, "add")(add)
command(app, "check")(check)
command(app, "remove", needs="local")(remove)

SAMPLES_SAID = "the bundled samples"
_TOP = ("name", "label_space", "output", "architecture", "description", "source", "licence")
_SIZES = ("long_side", "height", "width", "multiple_of")


def _list_served(choices: Listing) -> None:
    with connect(choices) as server:
        found = server.models()
    if choices.as_json:
        print_json({"items": found})
        return
    _print_models(found)


def _list_local(choices: Listing) -> None:
    from maskmill.stack.explained import storage_settings
    from storage.catalog import open_catalog
    from storage.registry.tunings import open_tunings

    settings = storage_settings(choices.home)
    catalog, tunings = open_catalog(settings), open_tunings(settings)
    cards = [{**card_fields(card), "runs_as": tunings.variant(catalog.get(card.name))} for card in catalog.list()]
    if choices.as_json:
        print_json({"items": cards})
        return
    _print_models(cards)


def _list_hub(choices: Listing) -> None:
    from storage.hub_catalog import load_hub_catalog

    here = {card.name for card in local_catalog(choices.home).list()}
    found = [{**asdict(model), "here": model.name in here} for model in load_hub_catalog().values()]
    if choices.as_json:
        print_json({"items": found})
        return
    table = plain_table(
        "name", "parameters", "MB", "published mIoU", "commercial use", "here", right=("parameters", "MB")
    )
    for model in found:
        size, use = f"{model['parameters_m']:.1f} M", "yes" if model["commercial_use"] else "no"
        published = f"{percent(model['published_miou'])} at {model['published_on'].partition(', ')[2]}"
        table.add_row(model["name"], size, str(model["download_mb"]), published, use, "✓" if model["here"] else "")
    print_table(table)
    stdout().print(f"\nScores are as their authors publish them. Fetch one with:  {program()} models pull NAME")


def _print_models(found: Iterable[Mapping[str, Any]]) -> None:
    right = ("parameters", "mIoU")
    table = plain_table("name", "architecture", "label space", "runs here in", *right, right=right)
    for model in found:
        name = f"{model['name']} (default)" if model.get("default") else str(model["name"])
        miou = (model.get("scores") or {}).get("miou")
        size = f"{(model.get('parameters') or 0) / 1e6:.1f} M"
        table.add_row(
            name,
            str(model.get("architecture")),
            str(model.get("label_space")),
            model.get("runs_as") or "–",
            size,
            percent(miou),
        )
    print_table(table)
    stdout().print(
        "mIoU: each model's own, on the pictures that its card names; maskmill compare scores them on the same."
    )


def _show_check(card: ModelCard, reports: Iterable[CheckReport], choices: HomeOption) -> None:
    if choices.as_json:
        print_json({"model": card_fields(card), "checks": [asdict(report) for report in reports]})
        return
    right = ("ms per picture", "images/s", "classes seen", "mIoU on samples")
    table = plain_table("runtime", "input", *right, right=right)
    notes: list[str] = []
    for report in reports:
        size, speed = "×".join(map(str, report.input_size)), f"{1e3 / max(report.median_ms, 1e-3):.1f}"
        row = (f"{report.median_ms:.1f}", speed, str(report.classes_seen), percent(report.miou))
        table.add_row(report.engine, size, *row)
        notes += report.notes
    print_table(table)
    for note in dict.fromkeys(notes):
        stdout().print(Text(f"Note: {note}", style="yellow"), soft_wrap=True)
    stdout().print(
        f"{card.name}: output stride {card.output_stride}, {card.parameters / 1e6:.2f} M parameters; all is well"
    )


def _with_options(given: dict[str, Any], choices: Adding) -> dict[str, Any]:
    """Options win over the file."""
    named = {name: getattr(choices, name) for name in _TOP} | {"version": choices.model_version}
    sizes: dict[str, Any] = {name: getattr(choices, name) for name in _SIZES}
    sizes |= {name: _numbers(name, getattr(choices, name)) for name in ("mean", "std")}
    about = given | {name: value for name, value in named.items() if value is not None}
    chosen = {name: value for name, value in sizes.items() if value is not None}
    if chosen:
        about["preprocessing"] = dict(given.get("preprocessing") or {}) | chosen
    return about


def _numbers(option: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(f"--{option} takes three numbers with commas between, not {text!r}") from None
    return [red, green, blue]


def local_catalog(home: Path | None) -> Catalog:
    from maskmill.stack.explained import storage_settings
    from storage.catalog import open_catalog

    return open_catalog(storage_settings(home))


def get_bundle(model: str, catalog: Catalog) -> Any:
    """By name, or a folder with a card, which need not be among the served ones."""
    from segmentation.model_card import ModelCard
    from storage.catalog import CARD, Bundle

    folder = Path(model)
    if (folder / CARD).is_file():
        return Bundle(ModelCard.from_json((folder / CARD).read_bytes()), folder)
    return catalog.get(model)


def card_fields(card: ModelCard) -> dict[str, Any]:
    import json

    value: dict[str, Any] = json.loads(card.to_json())
    return value
