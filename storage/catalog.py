"""Model bundles: a folder per model with `card.json` and the weights. Written by training, read by everybody."""

from __future__ import annotations

import hashlib
import logging
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import ModelFailed, ModelNotFound
from segmentation.errors import InvalidModelCard
from segmentation.model_card import ModelCard
from storage.settings import StorageSettings

CARD = "card.json"
HIDDEN = "."  # how the names of unfinished folders begin

logger = logging.getLogger(__name__)

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    card: ModelCard
    folder: Path

    def file(self, runtime: str) -> Path:
        """The weights for a runtime. Raises ModelNotFound when the bundle has none."""
        if runtime not in self.card.files:
            raise ModelNotFound(
                f"model {self.card.name} has no weights for {runtime}; it has {', '.join(sorted(self.card.files))}"
            )
        return self.folder / self.card.files[runtime]

    def verify(self) -> None:
        """Raises ModelFailed when a file is missing or is not the one that the card was written for."""
        for name, expected in self.card.sha256.items():
            path = self.folder / name
            if not path.is_file():
                raise ModelFailed(f"model {self.card.name} lacks its file {name}")
            if _sha256(path) != expected:
                raise ModelFailed(f"file {name} of model {self.card.name} is not the one its card describes")


class Catalog:
    """All bundles in some folders; of two with one name that in the later folder counts. Safe for many threads.

    The folders are looked at on every call, and read again when something changed: a model that was just published is
    there without a restart. A name is only ever looked up, never made into a path.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._bundles: Mapping[str, Bundle] = {}

    def list(self) -> Sequence[ModelCard]:
        bundles = self._current()
        return [bundles[name].card for name in sorted(bundles)]

    def find(self, name: str) -> Bundle | None:
        return self._current().get(name)

    def get(self, name: str) -> Bundle:
        """Raises ModelNotFound, which names the models there are."""
        bundles = self._current()
        if name not in bundles:
            raise ModelNotFound(f"there is no model {name!r}; there are: {', '.join(sorted(bundles)) or 'none'}")
        return bundles[name]

    def card(self, name: str) -> ModelCard:
        """Raises ModelNotFound."""
        return self.get(name).card

    def publish(self, card: ModelCard, files: Mapping[str, Path]) -> Bundle:
        """Copy weights (file name in the card → where they are) with their card into the last folder, all or nothing.

        Replaces a bundle of the same name there. Raises ValueError when `files` are not those of the card, and
        ModelFailed when their contents are not.
        """
        if set(files) != set(card.sha256) or any(Path(name).name != name for name in files):
            raise ValueError(f"the card names {sorted(card.sha256)}, the files given are {sorted(files)}")
        home = self._folders[-1]
        home.mkdir(parents=True, exist_ok=True)
        with _unfinished(home) as folder:
            for name, source in files.items():
                shutil.copyfile(source, folder / name)
            (folder / CARD).write_text(card.to_json(), encoding="utf-8")
            Bundle(card, folder).verify()
            _swap(folder, home / card.name)
        return self.get(card.name)

    def _current(self) -> Mapping[str, Bundle]:
        stamp = _stamp(self._folders)
        with self._lock:
            if stamp != self._stamp:
                self._bundles = {bundle.card.name: bundle for bundle in _read(self._folders)}
                self._stamp = stamp
            return self._bundles


def open_catalog(settings: StorageSettings) -> Catalog:
    return Catalog(settings.model_folders)


def _cards(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        if folder.is_dir():
            found = (path / CARD for path in sorted(folder.iterdir()) if not path.name.startswith(HIDDEN))
            yield from (path for path in found if path.is_file())


def _stamp(folders: Sequence[Path]) -> Stamp:
    """Changes when a bundle comes, goes or is replaced."""
    found = []
    for path in _cards(folders):
        with suppress(FileNotFoundError):  # being replaced right now
            status = path.stat()
            found.append((str(path), status.st_mtime_ns, status.st_ino))
    return tuple(found)


def _read(folders: Sequence[Path]) -> Iterator[Bundle]:
    for path in _cards(folders):
        try:
            card = ModelCard.from_json(path.read_bytes())
        except FileNotFoundError:  # being replaced right now
            continue
        except InvalidModelCard as error:
            logger.warning("bundle ignored: %s", error, extra={"action": "bundle_ignored", "path": str(path)})
            continue
        if card.name == path.parent.name:
            yield Bundle(card, path.parent)
        else:
            extra = {"action": "bundle_ignored", "path": str(path)}
            logger.warning("bundle ignored: its folder is not named %s", card.name, extra=extra)


@contextmanager
def _unfinished(home: Path) -> Iterator[Path]:
    """A folder beside the bundles that the catalogue does not see, and that is gone at the end of the block."""
    folder = home / f"{HIDDEN}{secrets.token_hex(8)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _swap(new: Path, place: Path) -> None:
    """Put `new` in its place; what was there goes the way of unfinished folders."""
    with _unfinished(place.parent) as old:
        if place.exists():
            place.rename(old / place.name)
        new.rename(place)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
