"""Fetching an archive to disk, resumably, and unpacking it without trusting a name in it, nor between another job's."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import secrets
import shutil
import stat
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import httpx

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None  # type: ignore[assignment]

from maskmill.errors import APIError, DownloadBroken, InvalidInput, NotMaskmill, ServerUnreachable
from maskmill.transport import LONGEST_RETRY_AFTER_S, Call, Transport, may_repeat

PIECE = 1024 * 1024
TRIES_WITHOUT_PROGRESS = 6
_MANIFEST, _METRICS, _ERRORS = "manifest.json", "metrics.csv", "errors.csv"
_MASKS = "mask"  # the folder of what people draw on, where nothing tells what was fetched
PICTURES_MISSING = "pictures_missing.csv"  # of an export, with the reason of each
FILES_MISSING = "files_missing.csv"  # of an archive without what the store has lost, with the reason of each
_MARK = ".maskmill-job"  # whose the files are, where no manifest tells
_FETCHED = ".maskmill-fetched.json"  # check sums (CRC-32) of files in folders as they came, by their paths
_LOCK = ".maskmill-lock"  # there while somebody writes
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)  # of a shared folder
FULL_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")

_LOST = (
    "; where it stops there each time, the service has lost a file: --without-lost, in Python "
    "export={'without_lost': True}, leaves out what is lost"
)

OnReceived = Callable[[int, "int | None"], None]  # bytes so far, and of the whole where it is known


def unheard(size: int, total: int | None) -> None:
    """For those who want to hear nothing."""


def fetch_archive(transport: Transport, call: Call, target: Path, on_received: OnReceived = unheard) -> Path:
    """Stream the answer to `target`; a part left by an earlier try (`.part`) is continued when it still fits.

    Raises DownloadBroken when the server stops giving bytes, APIError when it refuses.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(target)
    tries = 0
    while True:
        before = part.size
        try:
            with transport.stream(part.continued(call)) as response:
                part.take(response, on_received)
            return part.finish()
        except NotMaskmill:
            raise
        except (ServerUnreachable, httpx.StreamError) as error:
            tries = 0 if part.size > before else tries + 1
            if tries >= TRIES_WITHOUT_PROGRESS:
                lost = "" if "without_lost" in call.params else _LOST
                raise DownloadBroken(f"it stopped at byte {part.size} ({error}); call again to go on{lost}") from error
            time.sleep(min(4.0, 0.25 * 2**tries))
        except APIError as error:
            if error.status == 416 and before:
                part.start_over()  # what lies here is of another archive
                continue
            tries += 1
            if tries >= TRIES_WITHOUT_PROGRESS or not may_repeat(call, error):
                raise
            time.sleep(min(LONGEST_RETRY_AFTER_S, error.retry_after_s or 0.25 * 2**tries))  # busy with others' archives


class _Part:
    """The bytes so far, and the mark (ETag) of the archive they belong to."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = target.with_name(target.name + ".part")
        self._mark_path = target.with_name(target.name + ".part.etag")
        self._mark = self._mark_path.read_text() if self._mark_path.is_file() else ""
        self._total: int | None = None
        if not self._mark:
            self._path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        return self._path.stat().st_size if self._path.is_file() else 0

    def continued(self, call: Call) -> Call:
        headers = {**call.headers, "Accept-Encoding": "identity"}
        if self.size:
            headers["Range"] = f"bytes={self.size}-"
            if self._mark:
                headers["If-Range"] = self._mark
        return replace(call, headers=headers)

    def take(self, response: httpx.Response, on_received: OnReceived) -> None:
        """Append what the answer brings, or start over when it brings the whole."""
        start, total = _span(response)
        if start and (start != self.size or self._total not in (None, total)):
            self.start_over()
            raise ServerUnreachable("the archive changed while it was fetched")
        if not start:  # neither the bytes of another one stay, nor its mark
            self.start_over()
        self._total = total
        self._keep_mark(response.headers.get("etag"))
        with self._path.open("ab" if start else "wb") as handle:
            for piece in response.iter_raw():  # as they come: with a size, a break would lose what was gathered
                handle.write(piece)
                on_received(handle.tell(), total)
        if total is not None and self.size < total:
            raise ServerUnreachable("the answer ended early")

    def start_over(self) -> None:
        self._path.unlink(missing_ok=True)
        self._mark_path.unlink(missing_ok=True)
        self._mark = ""
        self._total = None

    def finish(self) -> Path:
        if self._total is not None and self.size != self._total:
            size = self.size
            self.start_over()
            raise DownloadBroken(f"the archive has {size} bytes where {self._total} were announced")
        self._path.replace(self._target)
        self._mark_path.unlink(missing_ok=True)
        return self._target

    def _keep_mark(self, mark: str | None) -> None:
        if mark and not mark.startswith("W/") and mark != self._mark:
            self._mark = mark
            self._mark_path.write_text(mark)


def _span(response: httpx.Response) -> tuple[int, int | None]:
    """First byte of the answer, and the length of the whole when it is known."""
    if response.status_code == 206 and (match := FULL_RANGE.match(response.headers.get("content-range", ""))):
        return int(match[1]), int(match[2])
    length = response.headers.get("content-length")
    return 0, None if length is None else int(length)


def check_place(folder: Path) -> None:
    """Raises InvalidInput where no folder can be, or nothing can be put into it: before anything is waited for."""
    nearest = next(place for place in (folder, *folder.parents, Path()) if os.path.lexists(place))
    if not nearest.is_dir():
        raise InvalidInput(f"{folder} can hold no results: {nearest} is no folder")
    if not os.access(nearest, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise InvalidInput(f"{folder} can hold no results: {nearest} cannot be written")


def keep_apart(folder: Path, job_id: str | None) -> None:
    """Raises InvalidInput for a folder with the results of another job: nobody could tell whose a mask is. job_id: of
    whose that are about to come; None of a job that is not there yet."""
    found = job_in(folder)
    if found not in (None, job_id):
        raise InvalidInput(
            f"{folder} holds the results of {found}; choose another folder (on the command line, --force mixes them)"
        )


def mark(folder: Path, job_id: str) -> None:
    """Say whose results lie here from now on, whatever else does."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).write_text(job_id, "utf-8")


@contextmanager
def alone_in(folder: Path, *jobs: str, unpacks: bool = True) -> Iterator[None]:
    """One at a time unpacks into a folder, which is made, and one fetches the ZIP of each of `jobs` there. Raises
    InvalidInput while another one does. What a program leaves that was killed is in nobody's way."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as locks:
        for path in [folder / _LOCK] * unpacks + [folder / f"{_LOCK}.{job}" for job in jobs]:
            locks.enter_context(_locked(path))
        yield


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = os.path.samestat(os.fstat(file.fileno()), path.stat())
        except (BlockingIOError, FileNotFoundError):
            is_ours = False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            path.unlink(missing_ok=True)
            raise InvalidInput(
                f"the file system of {path.parent} locks no files ({error.strerror}), by which two "
                "downloads keep apart: choose a folder on a local disk and move it afterwards"
            ) from None
        if not is_ours:  # or its holder ended in this moment and took the file along
            raise InvalidInput(f"another download into {path.parent} is going on; try again when it has ended")
        try:
            yield
        finally:
            if fcntl is not None:  # elsewhere an open file stays
                path.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> Path:
    """All of it or nothing, also where the program ends meanwhile; its folders are made."""
    with _whole(path) as out:
        out.write(data)
    return path


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """Half of a mask would look like one that somebody changed."""
    with part_of(path) as part, part.open("wb") as out:
        yield out


@contextmanager
def part_of(path: Path) -> Iterator[Path]:
    """An empty file beside it, which takes its place at the end; its folders are made. Until then the name has room
    for any name's length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        part.touch(exist_ok=False)
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def job_in(folder: Path) -> str | None:
    """Whose results a folder holds. None where nobody's results are, or nothing tells whose."""
    for name in (_MARK, _MANIFEST):
        with suppress(OSError, ValueError, LookupError, TypeError):
            if all(each.name in (_MARK, _FETCHED) or each.name.startswith(_LOCK) for each in folder.iterdir()):
                return None  # the rest was removed
            told = (folder / name).read_text("utf-8").strip()
            found = str(told if name == _MARK else json.loads(told)["job"])
            if found.startswith("job_"):  # others have manifests, too
                return found
    return None


def unpack(archive: Path, folder: Path, job_id: str, *, over_changes: bool = False) -> list[Path]:
    """The files of a job's ZIP below `folder`, nowhere else; a table of what went wrong of an earlier download goes
    where nothing is wrong any more. Raises DownloadBroken for damage or names that leave it, and, but with
    over_changes, InvalidInput for files in folders that were changed since they came: somebody drew them."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as bundle:
            entries = [entry for entry in bundle.infolist() if not entry.is_dir()]
            targets = [_target(folder, entry) for entry in entries]
            named = {
                target.relative_to(folder).as_posix(): entry for entry, target in zip(entries, targets, strict=True)
            }
            fetched = _fetched(folder)
            if not over_changes:
                _check_changes(folder, named, fetched)
            if folder / _MANIFEST not in targets:
                mark(folder, job_id)
            for entry, target in zip(entries, targets, strict=True):
                with bundle.open(entry) as source, _whole(target) as out:
                    shutil.copyfileobj(source, out, PIECE)
    except (zipfile.BadZipFile, EOFError) as error:
        raise DownloadBroken(f"{archive} is damaged: {error}") from error
    fetched.update({name: entry.CRC for name, entry in named.items() if "/" in name})
    if fetched:
        write_whole(folder / _FETCHED, json.dumps(fetched).encode())
    if folder / _METRICS in targets and folder / _ERRORS not in targets:  # tried again, none failed
        (folder / _ERRORS).unlink(missing_ok=True)
    for table in (PICTURES_MISSING, FILES_MISSING):
        if folder / table not in targets:
            (folder / table).unlink(missing_ok=True)
    return targets


def lay_over(folder: Path, job_id: str, fetch: Callable[[], Path]) -> Path:
    """The files of a job's ZIP in `folder`, whatever lies there; returns the folder. fetch: gives the ZIP, which goes
    then. Raises as it does, and as `unpack`."""
    check_place(folder)
    with alone_in(folder):
        mark(folder, job_id)
        packed = fetch()
        unpack(packed, folder, job_id, over_changes=True)
        packed.unlink()
    return folder


def _fetched(folder: Path) -> dict[str, int]:
    with suppress(OSError, ValueError, AttributeError):
        told = json.loads((folder / _FETCHED).read_text("utf-8")).items()
        return {name: crc32 for name, crc32 in told if isinstance(crc32, int)}
    return {}


def _check_changes(folder: Path, named: Mapping[str, zipfile.ZipInfo], fetched: Mapping[str, int]) -> None:
    changed = [name for name, entry in named.items() if _is_changed(folder / name, entry, fetched.get(name))]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise InvalidInput(
            f"{changed[0]}{more} in {folder} was changed since it was fetched; choose another folder (on the command "
            "line, --force overwrites it)"
        )


def _is_changed(path: Path, entry: zipfile.ZipInfo, fetched: int | None) -> bool:
    """fetched: check sum of the file as it came, of which it may be a newer version that comes now."""
    if (fetched is None and _MASKS not in PurePosixPath(entry.filename).parts[:-1]) or not path.is_file():
        return False
    return zlib.crc32(path.read_bytes()) not in (entry.CRC, fetched)


def missing(where: Path, table: str) -> int:
    """How much lacks that was asked for. where: it was unpacked there; or the ZIP file itself. table: which tells."""
    try:
        if where.is_dir():
            content = (where / table).read_bytes()
        else:
            with zipfile.ZipFile(where) as bundle:
                content = bundle.read(table)
    except (FileNotFoundError, KeyError):
        return 0
    return sum(1 for _ in csv.DictReader(io.StringIO(content.decode(), newline="")))


def _target(folder: Path, entry: zipfile.ZipInfo) -> Path:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    is_link = stat.S_ISLNK(entry.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or is_link:
        raise DownloadBroken(f"the archive holds {entry.filename!r}, which may not be unpacked")
    target = folder.joinpath(*path.parts)
    if not target.resolve().is_relative_to(folder.resolve()):
        raise DownloadBroken(f"the archive holds {entry.filename!r}, which would leave {folder}")
    return target
