"""What images are called in an archive: names that mean the same on every system, each once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import PurePosixPath

from jobs.job import JobImage
from segmentation.media_types import artifact_suffixes

_NAME_LENGTH = 120
_NAME_BYTES = 230  # most file systems take 255 between two slashes, with a number, a suffix, and `.part` while it comes
_DEVICE = r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?=\.|\Z)"  # of Windows, whatever follows the point
_IS_DEVICE = re.compile(_DEVICE)
_PLAIN_NAME = re.compile(rf"(?!{_DEVICE})([A-Za-z0-9_-](?:[A-Za-z0-9_. -]{{0,118}}[A-Za-z0-9_-])?)\.[A-Za-z0-9]{{1,5}}")


def stem_of(image: JobImage, *, paths: bool) -> str:
    """paths: the images' names are relative paths, and their folders those of the archive. Those of an older job are
    not, whatever they hold: its archive stays as it was."""
    stem = safe_stem(image.name) or f"image_{image.index:06d}"
    return safe_folders(image.name) + stem if paths else stem


def model_folders(models: Sequence[str]) -> tuple[str, ...]:
    """A folder for each of several models, with a `/` in front; none for a single one."""
    if len(models) == 1:
        return ("",)
    names = Names()
    return tuple(f"/{names.of(place, _safe(model) or 'model')}" for place, model in enumerate(models))


class Names:
    """A name for each image that no other image of the job has, on systems that fold case too."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, index: int, stem: str) -> str:
        name, tries = stem, 0
        while (folded := name.casefold()) in self._taken:
            name = f"{stem}_{index:06d}" + (f"_{tries}" if tries else "")
            tries += 1
        self._taken.add(folded)
        return name


def safe_stem(name: str) -> str:
    """A file name without its suffix that means the same on every system: no path, no control or reserved letter, no
    device of Windows."""
    plain = _PLAIN_NAME.fullmatch(name, name.rfind("/") + 1)
    if plain is not None:
        return plain[1]  # nearly every name, at a tenth of the cost
    return _safe(PurePosixPath(name.replace("\\", "/")).stem)


def _safe(part: str) -> str:
    kept = "".join(letter if letter.isprintable() and letter not in '<>:"/\\|?*' else "_" for letter in part)
    cut = kept.strip(" .")[:_NAME_LENGTH]
    if not cut.isascii():
        cut = cut.encode()[:_NAME_BYTES].decode(errors="ignore")
    cut = cut.rstrip(" .")
    return f"_{cut}" if _IS_DEVICE.match(cut) else cut


def safe_folders(path: str) -> str:
    """The folders of a path, each made to mean the same on every system; with a `/` at the end, empty for none.

    One that looks like a file of the archive gets another name: `a.png` may be an artifact beside it.
    """
    return _safe_folders(path[: path.rfind("/") + 1])


@lru_cache(maxsize=1024)
def _safe_folders(folders: str) -> str:
    """folders: each with a `/` behind it. Neighbouring images lie in the same ones."""
    parts, of_files = [_safe(part) or "_" for part in folders.split("/")[:-1]], artifact_suffixes()
    return "".join(f"{part}_/" if PurePosixPath(part).suffix.lower() in of_files else f"{part}/" for part in parts)
