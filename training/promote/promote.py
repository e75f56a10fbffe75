"""Promote: a run or a bundle becomes a version in the registry, and an alias names it. Rolling back is the same."""

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from segmentation.model_card import ModelCard
from storage.catalog import CARD, Catalog, NameTaken, file_sha256
from storage.model_reference import CHAMPION, PREFIX, ModelReference
from training.promote.errors import PromotionRefused
from training.promote.registry import Registry
from training.tracking.note import run_of

if TYPE_CHECKING:
    from training.export.variants import Watch

BUNDLES = "bundles"  # in a run's folder: what was exported to be promoted
EXPORTED = "bundles.json"  # beside it: of which checkpoint each of them was made
LOCK = ".promote.lock"  # of who does that now


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """name: in the registry; empty takes the run's or the bundle's own. roots: where data sets lie, for exporting.

    bundled: the models that came along; replace: whether one of that name may be hidden where the alias is followed.
    """

    alias: str = CHAMPION
    name: str = ""
    bundled: Catalog = field(default_factory=lambda: Catalog([]))
    replace: bool = False
    runs: Path = Path("runs")
    int8: bool = False
    roots: Mapping[str, Path] = field(default_factory=dict)
    watch: "Watch | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """before: the version that the alias named until now; None when it named none."""

    name: str
    alias: str
    version: str
    before: str | None


def promote(what: str, wish: Wish, registry: Registry) -> Promotion:
    """what: a run (name or folder), a bundle's folder, or `models:/NAME/VERSION` (or another alias of it).

    Raises RunNotFound, InvalidReference, NameTaken, NotRegistered, PromotionRefused, RegistryError, and what exporting
    raises.
    """
    ModelReference.parse(f"{wish.name or 'name'}@{wish.alias}")  # both may be written so, before anything is made
    version = _named(what, wish) if what.startswith(PREFIX) else _registered(what, wish, registry)
    number = registry.version_of(version)
    before = registry.promote(ModelReference(version.name, version=number), wish.alias)
    return Promotion(name=version.name, alias=wish.alias, version=number, before=before)


def _named(reference: str, wish: Wish) -> ModelReference:
    version = ModelReference.parse(reference)
    if wish.name not in ("", version.name):
        raise PromotionRefused(
            f"{reference} is a version of {version.name} and stays one: to have it as {wish.name} too, promote the "
            "folder of its bundle, or its run, under that name"
        )
    if wish.int8:
        raise PromotionRefused(f"{reference} is registered as it is: a quantised file is made when a run is exported")
    _check_name(version.name, wish)
    return version


def _check_name(name: str, wish: Wish) -> None:
    """Who asks for a name alone gets its champion, and no longer the bundled model. Raises NameTaken."""
    if not wish.replace and wish.bundled.find(name) is not None:
        raise NameTaken(
            f"{name} came with Maskmill, and whoever asks for it would get it no longer where {name}@{wish.alias} is "
            "followed: --replace serves this one, another --name both"
        )


def _registered(what: str, wish: Wish, registry: Registry) -> ModelReference:
    folders = (Path(what), wish.runs / what)
    for folder in folders:
        if (folder / CARD).is_file():
            if wish.int8 and not _has_int8(folder / CARD):
                raise PromotionRefused(
                    f"{folder} is a bundle without a quantised file: one is made when a run is exported, with --int8"
                )
            return _register(folder, wish, registry, run_id=None)
    folder = _run_among(what, folders, wish)
    with _one_at_a_time(folder):
        bundle = _exported(folder, wish)
        return _register(bundle, wish, registry, run_id=run_of(folder, registry.uri))


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Who promotes the same run at the same moment waits, and takes the bundle that is there then: exporting it anew
    would put another one in its place while it is sent."""
    with ExitStack() as held:
        with suppress(OSError):  # a disk without locks, or one that is only read
            file = held.enter_context((folder / LOCK).open("a"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _register(bundle: Path, wish: Wish, registry: Registry, *, run_id: str | None) -> ModelReference:
    name = wish.name or ModelCard.from_json((bundle / CARD).read_bytes()).name
    _check_name(name, wish)
    return ModelReference(name, version=registry.register(bundle, name, run_id))


def _run_among(what: str, folders: Sequence[Path], wish: Wish) -> Path:
    """The first that is a run's. Raises RunNotFound."""
    from training.runs import CHECKPOINT, RunNotFound  # PyTorch takes seconds, and a bundle needs none

    folder = next((each for each in folders if (each / CHECKPOINT).is_file()), None)
    if folder is None:
        raise RunNotFound(f"{what} is neither a run in {wish.runs}, nor the folder of a run or bundle")
    return folder


def _exported(folder: Path, wish: Wish) -> Path:
    """The folder of the run's bundle.

    It is exported unless that was done with the checkpoint that an export takes, with all that is wished for. Raises
    NameTaken.
    """
    from training.export.export import Release, export_run
    from training.export.variants import unwatched
    from training.runs import Run, chosen_checkpoint, write_json

    name = wish.name or Run.open(folder).name.lower()  # a run may be called as no model is
    _check_name(name, wish)
    bundle = folder / BUNDLES / name
    card = bundle / CARD
    exported = _exported_from(folder)
    checkpoint = file_sha256(chosen_checkpoint(folder))
    is_new = card.is_file() and exported.get(name) == checkpoint
    if not is_new or (wish.int8 and exported.get(_int8_of(name)) != checkpoint and not _has_int8(card)):
        release = Release(name=name, int8=wish.int8, replace=True)
        made = export_run(
            folder, release, roots=wish.roots, models=Catalog([folder / BUNDLES]), watch=wish.watch or unwatched
        )
        asked = {_int8_of(name): made.checkpoint} if wish.int8 else {}
        write_json(folder / EXPORTED, {**exported, name: made.checkpoint, **asked})
    return bundle


def _int8_of(name: str) -> str:
    """Where it is noted that a quantised file was asked for: one that was refused would be refused again."""
    return f"{name} int8"


def _has_int8(card: Path) -> bool:
    """Also where nothing is noted: an earlier version exported it."""
    return "onnx_int8" in ModelCard.from_json(card.read_bytes()).files


def _exported_from(folder: Path) -> Mapping[str, str]:
    """By a bundle's name the SHA-256 of the checkpoint that it was made of.

    Times of files say less: clocks are set back, and a training may write the next checkpoint while one is exported.
    """
    from training.lineage import damage_named  # OpenCV with it, which a bundle does not need either

    note = folder / EXPORTED
    with damage_named(note):
        content: Mapping[str, str] = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
        return dict(content)
