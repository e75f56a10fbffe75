"""Model bundles: a folder per model with `card.json` and the weights. Written by training, read by everybody.

`<name>/` is a bundle, `<name>/<version>/` one of several side by side, `<name>/@<alias>` a link to one of these.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from jobs.errors import ModelFailed, ModelNotFound
from segmentation.errors import InvalidLabelSpace, InvalidModelCard, SegmentationError
from segmentation.label_space import LabelSpace, load_label_space
from segmentation.label_spaces import LabelSpaces, get_label_space
from segmentation.model_card import ModelCard
from storage.hub_catalog import load_hub_catalog
from storage.model_reference import CHAMPION, PREFIX, InvalidReference, ModelReference, canonical
from storage.settings import StorageSettings

CARD = "card.json"
HIDDEN = "."  # how the names of unfinished folders begin
ASIDE = ".aside-"  # and of a bundle while another takes its place: of a process that was killed it stays until `sweep`
AT_WORK_S, FETCHING_S = 60.0, 24 * 3600.0  # so old is what is left of a process that was killed: set aside, unfinished
ALIAS = "@"  # how the names of links to a version begin

_OF_THE_ANSWER = ("label_space", "preprocessing", "activation", "max_batch")  # of a card, beside its files
_UNFINISHED = re.compile(r"\.[0-9a-f]{16}")  # as `unfinished` names its folders

logger = logging.getLogger(__name__)

Stamp = tuple[tuple[str, int, int], ...]


class NameTaken(Exception):
    """Something else of that name is there, and would be lost or hidden; the message says what it is."""

    code = "model_name_taken"


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

    def space(self) -> LabelSpace:
        """What its classes are: the published label space of that name, or the one that the bundle brings along.

        Raises UnknownLabelSpace, and InvalidLabelSpace when its file is missing, damaged or of another name.
        """
        if not self.card.label_space_file:
            return get_label_space(self.card.label_space)
        space = load_label_space(self.folder / self.card.label_space_file)
        if space.name != self.card.label_space:
            raise InvalidLabelSpace(f"the card says {self.card.label_space}, its label space is called {space.name}")
        return space

    def verify(self) -> None:
        """Raises ModelFailed when a file is missing or is not the one that the card was written for."""
        for name, expected in self.card.sha256.items():
            try:
                found = file_sha256(self.folder / name)
            except (FileNotFoundError, IsADirectoryError):
                raise ModelFailed(f"model {self.card.name} lacks its file {name}") from None
            if found != expected:
                raise ModelFailed(f"file {name} of model {self.card.name} is not the one its card describes")


@dataclass(frozen=True, slots=True)
class _Contents:
    """bundles: by everything that they are called. spaces: the published ones, those that the bundles bring, and those
    of the folder for them."""

    bundles: Mapping[str, Bundle] = field(default_factory=dict)
    spaces: LabelSpaces = field(default_factory=LabelSpaces)


class Catalog:
    """All bundles in some folders; of two with one name that in the later folder counts. Safe for many threads.

    The folders are looked at on every call, and read again when something changed: a model that was just published is
    there without a restart. A name is only ever looked up, never made into a path. Versions are found as `name/3` and
    `name@alias`; of a name alone, its champion counts more than a bundle in the same folder. `models:/` may precede.
    """

    def __init__(self, folders: Sequence[Path], *, fetchable: Collection[str] = (), spaces: Path | None = None) -> None:
        """fetchable: names that are not there yet and can be fetched from the hub; told to who asks for one. spaces: a
        folder of label spaces that no model brings along, looked at likewise."""
        self._folders = tuple(folders)
        self._spaces = spaces
        self._fetchable = frozenset(fetchable)
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._contents = _Contents()

    def list(self) -> Sequence[ModelCard]:
        """One card a name; of versions, the champion's."""
        return [each.card for each in self.bundles()]

    def bundles(self) -> Sequence[Bundle]:
        """Likewise."""
        found = self._current().bundles
        return [found[name] for name in sorted(found) if found[name].card.name == name]

    def find(self, name: str) -> Bundle | None:
        return self._current().bundles.get(canonical(name))

    def get(self, name: str) -> Bundle:
        """Raises ModelNotFound, which names the models there are."""
        bundles = self._current().bundles
        if (found := bundles.get(canonical(name))) is not None:
            return found
        there = f"there are: {', '.join(sorted(bundles)) or 'none'}"
        if name in self._fetchable:
            raise ModelNotFound(f"model {name} is not here yet; fetch it with `maskmill models pull {name}`; {there}")
        raise ModelNotFound(f"there is no model {name!r}; {_how_followed(name)}{there}")

    def card(self, name: str) -> ModelCard:
        """Raises ModelNotFound."""
        return self.get(name).card

    def label_spaces(self) -> LabelSpaces:
        return self._current().spaces

    def publish(self, card: ModelCard, files: Mapping[str, Path], *, replace: bool = False) -> Bundle:
        """Copy weights (file name in the card → where they are) with their card into the last folder, all or nothing.

        replace: whether another model of the same name may be lost, or hidden if it lies in an earlier folder. Raises
        ValueError when `files` are not those of the card, ModelFailed when their contents are not, InvalidLabelSpace
        when another model's label space has the name of this one's and is not the same, and what `check_name` raises.
        """
        if set(files) != set(card.sha256) or any(Path(name).name != name for name in files):
            raise ValueError(f"the card names {sorted(card.sha256)}, the files given are {sorted(files)}")
        home = self._folders[-1]
        self.check_name(card, replace=replace)
        home.mkdir(parents=True, exist_ok=True)
        with unfinished(home) as folder:
            for name, source in files.items():
                shutil.copyfile(source, folder / name)
            (folder / CARD).write_text(card.to_json(), encoding="utf-8")
            bundle = Bundle(card, folder)
            bundle.verify()
            self._check_space(bundle)
            swap(folder, home / card.name)
        sweep(home)
        return self.get(card.name)

    def check_name(self, card: ModelCard, *, replace: bool = False, whole: bool = True) -> None:
        """Raises NameTaken when the last folder has versions of the registry of that name; and, unless `replace`,
        when it or an earlier one has another bundle of that name. The same model with the same files, or more, is none.
        whole: the card names all its files; else some may still be to come."""
        place = self._folders[-1] / card.name
        if any(_versions(place)):
            raise NameTaken(f"{place} holds versions from the registry: promote a new one instead")
        there = self.find(card.name)
        if replace or there is None or _takes_over(card, there.card, whole=whole):
            return
        what = f"{there.folder} holds version {there.card.version} of {card.name}, another model or one with more files"
        if there.folder.parent == place.parent:
            how = "would be lost: --replace puts this one in its place, another --name keeps both"
        else:
            how = f"whoever asks for {card.name} would get no longer: --replace serves this one, another --name both"
        raise NameTaken(f"{what}, which {how}")

    def remove(self, name: str) -> None:
        """Take a model with all its versions out of the last folder, at once for every reader. Raises ModelNotFound."""
        bundle, home = self.get(name), self._folders[-1]
        place = home / bundle.card.name
        if name != bundle.card.name:
            raise ModelNotFound(f"versions are not removed alone; the model is called {bundle.card.name}")
        places = (_aside(place), place)
        if not any(bundle.folder.resolve().is_relative_to(each.resolve()) for each in places):
            raise ModelNotFound(f"model {name} came with Maskmill and stays; only models in {home} can be removed")
        with unfinished(home) as gone:
            for each in places:
                _move(each, gone / each.name)

    def _check_space(self, bundle: Bundle) -> None:
        others = {each.card.label_space: each for each in self._current().bundles.values()
                  if each.card.name != bundle.card.name}  # fmt: skip
        known = [others[bundle.card.label_space].space()] if bundle.card.label_space in others else []
        LabelSpaces().with_own(*known, bundle.space())

    def _current(self) -> _Contents:
        files = [] if self._spaces is None else _space_files(self._spaces)
        stamp = (*_stamp(self._folders), *((path, status.st_mtime_ns, status.st_ino) for path, status in files))
        with self._lock:
            if stamp != self._stamp:
                self._contents = _read(self._folders, [Path(path) for path, _ in files])
                self._stamp = stamp
            return self._contents


def open_catalog(settings: StorageSettings) -> Catalog:
    spaces = settings.resolved_label_space_folder
    return Catalog(settings.model_folders, fetchable=load_hub_catalog(), spaces=spaces)


def _how_followed(name: str) -> str:
    """Of a registered model that no worker has fetched; else nothing."""
    try:
        found = ModelReference.parse(name)
    except InvalidReference:
        return ""
    if found.alias is None:
        return ""
    return f"workers fetch what the registry has when they follow it: MASKMILL_WORKER_FOLLOW='[\"{PREFIX}{found}\"]'; "


def _places(folders: Sequence[Path]) -> Iterator[Path]:
    """Folders with a card: of bundles, then of versions and of links to them."""
    return (Path(place) for place, _ in _cards(folders))


def _versions(name: Path) -> Iterator[Path]:
    """Versions and links to them in the folder of a name; links come first, as `@` does."""
    return (Path(place) for place, _ in _with_cards(_folders_in(str(name))))


def _stamp(folders: Sequence[Path]) -> Stamp:
    """Changes when a bundle comes, goes or is replaced, and when a link leads elsewhere."""
    return tuple((place, status.st_mtime_ns, status.st_ino) for place, status in _cards(folders))


def _cards(folders: Sequence[Path]) -> Iterator[tuple[str, os.stat_result]]:
    """Of each place. Every request asks for them: paths as text take a quarter of the time."""
    for folder in folders:
        names = _folders_in(str(folder))
        yield from _with_cards(names)
        for name in names:
            yield from _with_cards(_folders_in(name))


def _folders_in(path: str) -> list[str]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as entries:
        found = {each.name: each.path for each in entries if each.is_dir()}
        return sorted(path for name, path in found.items() if _is_seen(name, found))
    return []  # it is being replaced right now, or is no folder


def _is_seen(name: str, others: Collection[str]) -> bool:
    """What was set aside is, as long as nothing is in its place."""
    return name.removeprefix(ASIDE) not in others if name.startswith(ASIDE) else not name.startswith(HIDDEN)


def _with_cards(places: Sequence[str]) -> Iterator[tuple[str, os.stat_result]]:
    for place in places:
        with suppress(FileNotFoundError, NotADirectoryError):
            status = os.stat(f"{place}/{CARD}")  # noqa: PTH116 a path is made of more than a stat
            yield place, status


def _space_files(folder: Path) -> Sequence[tuple[str, os.stat_result]]:
    """JSON files, by name."""
    found: dict[str, os.stat_result] = {}
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for each in entries:
            if each.name.endswith(".json") and not each.name.startswith(HIDDEN) and each.is_file():
                with suppress(FileNotFoundError):  # taken away right now: the others stay
                    found[each.path] = each.stat()
    return sorted(found.items())


def _read(folders: Sequence[Path], space_files: Sequence[Path] = ()) -> _Contents:
    """A later bundle of one name counts; of two label spaces of one name that differ, the first one does, and those of
    bundles before those of files: no model goes because somebody wrote a file."""
    bundles: dict[str, Bundle] = {}
    spaces = LabelSpaces()
    for place in _places(folders):
        folder = place.resolve() if place.name.startswith(ALIAS) else place
        try:
            card = ModelCard.from_json((folder / CARD).read_bytes())
            bundle, names = Bundle(card, folder), _names(place, folder, card)
            if not names:
                raise InvalidModelCard("name", expected=f"that of its folder, {place.name}", got=card.name)
            spaces = spaces.with_own(bundle.space())
        except FileNotFoundError:  # being replaced right now
            continue
        except SegmentationError as error:
            _ignore(place, str(error))
            continue
        bundles |= dict.fromkeys(names, bundle)
    for path in space_files:
        try:
            spaces = spaces.with_own(load_label_space(path))
        except SegmentationError as error:
            told = {"action": "label_space_ignored", "path": str(path)}
            logger.warning("label space ignored: %s", error, extra=told)
    return _Contents(bundles, spaces)


def _names(place: Path, folder: Path, card: ModelCard) -> Sequence[str]:
    """What a bundle is called where it lies: nothing when place and card contradict one another."""
    if card.name == place.name.removeprefix(ASIDE):
        return [card.name]
    if (card.name, card.version) != (place.parent.name, folder.name.removeprefix(ASIDE)):
        return []
    if place == folder:
        return [f"{card.name}/{card.version}"]
    alias = place.name.removeprefix(ALIAS)
    return [f"{card.name}{ALIAS}{alias}", *([card.name] if alias == CHAMPION else [])]


def _takes_over(new: ModelCard, old: ModelCard, *, whole: bool) -> bool:
    """Whether nothing of the old bundle is lost with the new one in its place: what it computes, and its files."""
    if any(getattr(new, name) != getattr(old, name) for name in _OF_THE_ANSWER):
        return False
    kept = old.sha256 if whole else old.sha256.keys() & new.sha256.keys()
    return all(new.sha256.get(name) == old.sha256[name] for name in kept)


def _ignore(place: Path, reason: str) -> None:
    logger.warning("bundle ignored: %s", reason, extra={"action": "bundle_ignored", "path": str(place)})


@contextmanager
def unfinished(home: Path) -> Iterator[Path]:
    """A folder beside the bundles that the catalogue does not see, and that is gone at the end of the block."""
    folder = home / f"{HIDDEN}{secrets.token_hex(8)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what processes that were killed left there: what was set aside for something that is in its place by now,
    and what was never finished. What is new may be somebody's who is at work."""
    now = time.time()
    with suppress(OSError), os.scandir(folder) as entries:  # one that cannot be written keeps it
        ages = {each.name: now - each.stat(follow_symlinks=False).st_ctime for each in entries}
        left = [name for name, age_s in ages.items() if _is_left(name, age_s, ages)]
        if left:
            with unfinished(folder) as gone:
                for name in left:
                    _move(folder / name, gone / name)


def _is_left(name: str, age_s: float, others: Collection[str]) -> bool:
    if name.startswith(ASIDE):
        return age_s > AT_WORK_S and name.removeprefix(ASIDE) in others
    return age_s > FETCHING_S and _UNFINISHED.fullmatch(name) is not None


def swap(new: Path, place: Path) -> None:
    """Put `new` in its place. What was there is found aside until then, also where this process is killed meanwhile; it
    goes at once then, so that nobody finds it, or a half of it, when the new one is gone some day."""
    aside = _aside(place)
    with unfinished(place.parent) as gone:
        if place.exists():
            _move(aside, gone / "earlier")
            place.rename(aside)
        new.rename(place)
        _move(aside, gone / place.name)


def _move(folder: Path, to: Path) -> None:
    """If it is there: others may replace the same."""
    with suppress(FileNotFoundError):
        folder.rename(to)


def _aside(place: Path) -> Path:
    return place.with_name(f"{ASIDE}{place.name}")


def file_sha256(path: Path) -> str:
    """Hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
