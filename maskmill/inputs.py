"""What a caller may submit, sorted out: files, folders, globs, archives on the one side, addresses and samples on the
other. Which file is whose mask the server decides, by the relative paths that it is given."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from maskmill.download import job_in
from maskmill.errors import InvalidInput
from maskmill.films.ours import is_ours

# Pictures by their names, as the server knows them, and by their first bytes, whatever they are called.
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".dib"}
    | {".avif", ".gif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpx", ".j2c"}
)
_STARTS = (
    *(b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM", b"GIF8", b"8BPS", b"qoif"),
    *(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),  # JPEG 2000
)
_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_LOSSY = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"})
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
FILM_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm")  # of which the server takes frames

CORRECTED = "corrected"  # for masks: of another job, what people corrected

_RESULTS = re.compile(r"job_[0-9A-Z]{26}(_[a-z-]+)?\.zip")  # as the service calls archives and exports
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")

Given = str | os.PathLike[str] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LocalFile:
    """name: what the server is told: a relative path with `/`, in plain letters."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """files are sent; remote ones are named. One job takes one kind. passed_over: what lay there and is no picture.
    results: what a job was downloaded into, below the folders that were given, its ZIP files, and films that were made
    of its results: their overlays and masks are pictures, and nobody means them."""

    files: tuple[LocalFile, ...] = ()
    remote: tuple[Mapping[str, Any], ...] = ()
    passed_over: tuple[Path, ...] = ()
    results: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """root: the folder in which the file was found; None when the file itself was given."""

    path: Path
    root: Path | None


@dataclass(frozen=True, slots=True)
class _Passed:
    """As of `Inputs`."""

    files: list[Path] = field(default_factory=list)
    results: list[Path] = field(default_factory=list)


def sort_out(given: Given | Iterable[Given]) -> Inputs:
    """Raises InvalidInput when something does not exist, nothing is left, or files and addresses are mixed."""
    found: dict[Path, _Found] = {}
    remote: list[Mapping[str, Any]] = []
    passed = _Passed()
    for item in _each(given):
        if isinstance(item, Mapping):
            remote.append(item)
        elif _is_address(item):
            remote.append({"url": os.fspath(item)})
        else:
            for each in _pictures_of(item, passed):
                found.setdefault(each.path, each)
    _check(found, remote)
    return Inputs(_named(list(found.values())), tuple(remote), tuple(passed.files), tuple(passed.results))


def sort_out_masks(given: Given | Iterable[Given]) -> tuple[LocalFile, ...]:
    """Mask files. Of a folder: its lossless pictures, else its archives, without results of jobs in it: masks that a
    model made are no ground truth. Raises InvalidInput."""
    found: dict[Path, _Found] = {}
    for item in _each(given):
        if isinstance(item, Mapping) or _is_address(item):
            raise InvalidInput("masks are files; for addresses and samples write {'url': …, 'mask': {'url': …}}")
        here = list(_pictures_of(item, _Passed()))
        lossless = [each for each in here if each.root is not None and _is_lossless(each.path)]
        archives = [each for each in here if each.root is not None and is_archive_name(each.path.name)]
        direct = [each for each in here if each.root is None]
        if not (direct or lossless or archives):
            raise InvalidInput(f"{item}: no masks in this folder; a JPEG keeps no class ids")
        for each in (*direct, *(lossless or archives)):
            found.setdefault(each.path, each)
    return _named(list(found.values()))


def with_corrections(inputs: Inputs, masks: Given | Iterable[Given]) -> Inputs:
    """Jobs whose corrections are the ground truth. Raises InvalidInput for other masks, and for what is no job."""
    if [*_each(masks)] != [CORRECTED] or not all("job" in each for each in inputs.remote):
        raise InvalidInput(
            "masks of addresses and samples go into the inputs: {'sample': …, 'mask': {…}}; of jobs they are "
            f"their own, or {CORRECTED!r}"
        )
    return replace(inputs, remote=tuple({**each, "masks": CORRECTED} for each in inputs.remote))


def is_archive_name(name: str) -> bool:
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def is_film_name(name: str) -> bool:
    return name.lower().endswith(FILM_SUFFIXES)


def is_hidden(path: PurePath) -> bool:
    """What desktops leave beside files, as the server passes it over in archives. path: below the folder given."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def is_picture(path: Path) -> bool:
    """By its name, or by its first bytes. Raises InvalidInput when it cannot be read."""
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:  # gone since, or behind a link that leads nowhere
        return False
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith(_STARTS) or is_webp or (head[4:8] == b"ftyp" and head[8:12] in _BRANDS)


def _is_lossless(path: Path) -> bool:
    return not is_archive_name(path.name) and path.suffix.lower() not in _LOSSY


def _check(files: Mapping[Path, _Found], remote: Sequence[Mapping[str, Any]]) -> None:
    if files and remote:
        raise InvalidInput("files and addresses (or samples) cannot go into one job: submit them as two")
    if not files and not remote:
        raise InvalidInput("there is nothing to submit: no image or archive among what was given")


def _named(found: Sequence[_Found]) -> tuple[LocalFile, ...]:
    """Below one folder paths are relative to it; below several the folder's name comes first."""
    roots = _shortest({each.root for each in found if each.root is not None})
    files = _shortest({each.path for each in found if each.root is None})
    named = []
    for each in found:
        if each.root is None:
            name = files[each.path]
        else:
            name = each.path.relative_to(each.root).as_posix()
            name = f"{roots[each.root]}/{name}" if len(roots) > 1 else name
        named.append(LocalFile(each.path, plain(name)))
    return tuple(named)


def _shortest(paths: set[Path]) -> dict[Path, str]:
    """The last part of each path; where two have the same one, as many parts of all as tell them apart."""
    whole = {path: Path(os.path.abspath(path)).parts for path in paths}  # noqa: PTH100 - a link has its own name
    for length in range(1, max(map(len, whole.values()), default=1) + 1):
        names = {path: "/".join(parts[-length:]).lstrip("/") for path, parts in whole.items()}
        if not names or max(Counter(names.values()).values()) == 1:
            return names
    return {path: path.as_posix() for path in paths}


def _each(given: Given | Iterable[Given]) -> Iterator[Given]:
    if isinstance(given, (str, os.PathLike, Mapping)):
        yield given
    else:
        yield from given


def plain(name: str) -> str:
    """A file's name as others can be told it: composed (NFC), with `?` for bytes that are no UTF-8, and without control
    characters, as the server calls it."""
    return unicodedata.normalize("NFC", _CONTROL.sub("", name).encode(errors="replace").decode())


def _is_address(item: Given) -> bool:
    return isinstance(item, str) and item.startswith(("http://", "https://"))


def _pictures_of(item: Given, passed: _Passed) -> Iterator[_Found]:
    """Pictures and archives; what was given itself is taken for one. Adds to `passed` what is none."""
    assert not isinstance(item, Mapping)
    if isinstance(item, str) and (scheme := _SCHEME.match(item)):
        raise InvalidInput(f"{item}: {scheme[0]} is not fetched; addresses begin with http:// or https://")
    path = Path(item).expanduser()
    if path.is_dir():
        yield from _pictures_in(path, passed)
    elif path.is_file():
        yield _Found(path, None)
    elif glob.has_magic(str(path)):
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - the pattern may start anywhere
        if not matches:
            raise InvalidInput(f"{path}: nothing matches this pattern")
        for match in matches:
            yield from _pictures_of(match, passed)
    elif os.path.lexists(path):
        raise InvalidInput(f"{path}: neither a file nor a folder; what comes through a pipe is saved to a file first")
    else:
        raise InvalidInput(f"{path}: no such file or folder")


def _pictures_in(folder: Path, passed: _Passed) -> Iterator[_Found]:
    files = sorted(files_below(folder))
    results = _results_in(folder, files)
    files = [path for path in files if not results or results.isdisjoint(path.parents)]
    alone = {path for path in files if _is_result(path)}
    passed.results.extend(results | alone)
    files = [path for path in files if path not in alone]
    wanted = [path for path in files if is_archive_name(path.name) or is_film_name(path.name) or is_picture(path)]
    if not wanted:
        where = min(results | alone, default=None)
        but = "" if where is None else f" but the results of a job ({where}): name that itself to have it looked into"
        raise InvalidInput(f"{folder}: no image or archive in this folder{but}")
    passed.files.extend(sorted({*files}.difference(wanted)))
    yield from (_Found(path, folder) for path in wanted)


def _results_in(folder: Path, files: Iterable[Path]) -> set[Path]:
    """The outermost folders below this one that hold the results of a job. files: all below it."""
    inner = {parent for place in {path.parent for path in files} for parent in (place, *place.parents)}
    inner = {place for place in inner if folder in place.parents}
    found = {place for place in inner if job_in(place) is not None}
    return {place for place in found if found.isdisjoint(place.parents)}


def _is_result(path: Path) -> bool:
    return bool(_RESULTS.fullmatch(path.name)) or (is_film_name(path.name) and is_ours(path))


def files_below(folder: Path) -> Iterator[Path]:
    """In all its folders, also behind links, but for what is hidden. A link that leads nowhere counts as a file.

    A folder to which several ways lead is read once, by one without links if there is one. Raises InvalidInput for one
    that cannot be read.
    """
    folders, linked, seen = deque([folder]), deque[Path](), set[Path]()
    try:
        while folders or linked:
            here = (folders or linked).popleft()
            if (real := here.resolve()) in seen:
                continue
            seen.add(real)
            for path in sorted(here.iterdir()):
                if is_hidden(Path(path.name)):
                    continue
                if path.is_dir():
                    (linked if path.is_symlink() else folders).append(path)
                elif path.is_file() or path.is_symlink():
                    yield path
    except OSError as error:
        raise InvalidInput(f"{error.filename or folder}: {error.strerror or error}") from error
