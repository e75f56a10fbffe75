"""What a caller may submit, sorted out: files, folders, globs, archives on the one side, addresses and samples on the
other. Nothing is opened here."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskmill.errors import InvalidInput

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
MASK_ENDINGS = ("_mask", "_label", "_labelids", "_labeltrainids", "_trainids", "_gtfine_color", "_instanceids")

MASK_FOLDERS = frozenset({"masks", "labels", "annotations", "gtfine"})

Given = str | os.PathLike[str] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Inputs:
    """files are sent; remote ones are named. One job takes one kind. passed_over: masks that lay among the pictures."""

    files: tuple[Path, ...] = ()
    remote: tuple[Mapping[str, Any], ...] = ()
    passed_over: tuple[Path, ...] = ()


def sort_out(given: Given | Iterable[Given]) -> Inputs:
    """Raises InvalidInput when something does not exist, nothing is left, or files and addresses are mixed."""
    files: dict[Path, None] = {}
    remote: list[Mapping[str, Any]] = []
    passed_over: list[Path] = []
    for item in _each(given):
        if isinstance(item, Mapping):
            remote.append(item)
        elif _is_address(item):
            remote.append({"url": os.fspath(item)})
        else:
            for path, root in _expanded(item):
                if root is not None and _is_mask(path, root):
                    passed_over.append(path)
                else:
                    files[path] = None
    _check(files, remote)
    return Inputs(tuple(files), tuple(remote), tuple(passed_over))


def sort_out_masks(given: Given | Iterable[Given]) -> tuple[Path, ...]:
    """Mask files. Of a folder: what is named as a mask, else its PNGs, else its archives. Raises InvalidInput."""
    files: dict[Path, None] = {}
    for item in _each(given):
        if isinstance(item, Mapping) or _is_address(item):
            raise InvalidInput("masks are files; for addresses and samples write {'url': …, 'mask': {'url': …}}")
        found = list(_expanded(item))
        inside = [path for path, root in found if root is not None]
        named = [path for path, root in found if root is not None and _is_mask(path, root)]
        pictures = [path for path in inside if path.suffix.lower() == ".png"]
        archives = [path for path in inside if is_archive_name(path.name)]
        direct = [path for path, root in found if root is None]
        for path in (*direct, *(named or pictures or archives)):
            files[path] = None
    return tuple(files)


def is_mask_name(path: Path) -> bool:
    """Whether a file is named like a mask beside its picture: street_mask.png, street_gtFine_labelIds.png."""
    return path.suffix.lower() == ".png" and path.stem.lower().endswith(MASK_ENDINGS)


def is_archive_name(name: str) -> bool:
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def _check(files: Mapping[Path, None], remote: Sequence[Mapping[str, Any]]) -> None:
    if files and remote:
        raise InvalidInput("files and addresses (or samples) cannot go into one job: submit them as two")
    if not files and not remote:
        raise InvalidInput("there is nothing to submit: no image or archive among what was given")


def _each(given: Given | Iterable[Given]) -> Iterator[Given]:
    if isinstance(given, (str, os.PathLike, Mapping)):
        yield given
    else:
        yield from given


def _is_address(item: Given) -> bool:
    return isinstance(item, str) and item.startswith(("http://", "https://"))


def _is_mask(path: Path, root: Path) -> bool:
    """By its name, or by a folder between it and the one that was given: street/masks/1.png."""
    folders = path.relative_to(root).parts[:-1]
    return is_mask_name(path) or any(folder.lower() in MASK_FOLDERS for folder in folders)


def _expanded(item: Given) -> Iterator[tuple[Path, Path | None]]:
    """Paths with the folder in which they were found, None for those that were named themselves."""
    assert not isinstance(item, Mapping)
    path = Path(item).expanduser()
    if path.is_dir():
        found = sorted(inner for inner in path.rglob("*") if _wanted(inner, path))
        if not found:
            raise InvalidInput(f"{path}: no image or archive in this folder")
        yield from ((inner, path) for inner in found)
    elif path.is_file():
        yield path, None
    elif glob.has_magic(str(path)):
        matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - the pattern may start anywhere
        if not matches:
            raise InvalidInput(f"{path}: nothing matches this pattern")
        for match in matches:
            yield from _expanded(match)
    else:
        raise InvalidInput(f"{path}: no such file or folder")


def _wanted(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(root).parts)
    return not hidden and path.is_file() and (path.suffix.lower() in IMAGE_SUFFIXES or is_archive_name(path.name))
