"""Versions of a registered model, kept side by side in the catalogue's last folder, and links that say which serves."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.errors import ModelFailed
from segmentation.model_card import ModelCard
from storage.catalog import ALIAS, CARD, HIDDEN, Bundle, swap, sweep, unfinished
from storage.model_reference import ModelReference

REGISTERED = ".registered"  # in a version: the digest of its card as it was registered


@dataclass(frozen=True, slots=True)
class Versions:
    """Several processes may share the folder: what is there is whole, and the same for all."""

    folder: Path

    def add(self, name: str, version: str, fetch: Callable[[Path], None], *, digest: str | None = None) -> Bundle:
        """Put a version there, all or nothing; one that is there already, whole and the registry's is taken as it is.

        fetch: writes the bundle's files into the folder that it is given. The card takes the registry's name and
        version, whatever it said. digest: SHA-256 of the card that is registered, by which versions of one number from
        two registries are told apart; None: whatever is there counts. Raises what `fetch` raises, InvalidModelCard,
        ModelFailed.
        """
        for each in (self.folder, self.folder / name):
            sweep(each)
        place = self.folder / name / version
        if (kept := _whole(place, digest)) is not None:
            return kept
        place.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(self.folder) as draft:
            fetch(draft)
            bundle = _read(draft)
            (draft / REGISTERED).write_text(hashlib.sha256((draft / CARD).read_bytes()).hexdigest(), encoding="ascii")
            card = replace(bundle.card, name=name, version=version)
            (draft / CARD).write_text(card.to_json(), encoding="utf-8")
            bundle.verify()
            return _placed(draft, place, digest)

    def point(self, reference: ModelReference, version: str) -> None:
        """From now on the alias means this version, for every process that looks."""
        assert reference.alias is not None
        place = self.folder / reference.name / f"{ALIAS}{reference.alias}"
        draft = place.with_name(f"{HIDDEN}{secrets.token_hex(8)}")
        draft.symlink_to(version)
        draft.replace(place)


def versions_in(folders: Sequence[Path]) -> Versions:
    """Where a catalogue of these folders keeps versions."""
    return Versions(folders[-1])


def _placed(draft: Path, place: Path, digest: str | None) -> Bundle:
    """Another process may put the same there at the same moment: whoever is first is right, and stays where it is."""
    try:
        draft.rename(place)  # refused where there is something
    except OSError:
        return _whole(place, digest) or _exchanged(draft, place, digest)
    return _read(place)


def _exchanged(draft: Path, place: Path, digest: str | None) -> Bundle:
    """For what is damaged or another registry's; another process may have mended it."""
    try:
        swap(draft, place)
    except OSError:
        kept = _whole(place, digest)
        if kept is None:
            raise
        return kept
    return _read(place)


def _whole(place: Path, digest: str | None) -> Bundle | None:
    if not (place / CARD).is_file():
        return None
    try:
        bundle = _read(place)
        bundle.verify()
    except ModelFailed:
        return None
    return bundle if digest is None or registered_digest(place) in (None, digest) else None


def registered_digest(place: Path) -> str | None:
    """SHA-256 of a version's card as the registry has it; None where it was fetched before this was written down, and
    counts."""
    path = place / REGISTERED
    return path.read_text(encoding="ascii") if path.is_file() else None


def _read(folder: Path) -> Bundle:
    try:
        card = ModelCard.from_json((folder / CARD).read_bytes())
    except FileNotFoundError:
        raise ModelFailed(f"what was fetched is no bundle: it has no {CARD}") from None
    return Bundle(card, folder)
