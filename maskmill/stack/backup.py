"""A local stack in one file, and back: database, objects, models, label spaces. The broker holds nothing that the
database lacks.

The database is copied first, as of one moment, while it may be in use; objects that are added meanwhile are removed
with their jobs, or not restored where these came later; those that vanish meanwhile belong to jobs that were deleted.
"""

from __future__ import annotations

import os
import posixpath
import re
import secrets
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from maskmill.errors import StackError
from maskmill.stack.expired import Expired, find_expired
from maskmill.stack.home import StackHome

DATABASE = "maskmill.db"
FOLDERS = ("objects", "models", "label-spaces")
NOT_KEPT = ("objects/incoming", "objects/partial")  # what was in the middle of being written
_OWNER = re.compile(r"objects/files/(?:[^/]+/)?(?:jobs|uploads/\d+)/((?:job|upl)_[^/]+)")  # see `jobs.keys`


# How a TAR is unpacked; Python knows it since 3.11.4, and Debian 12 brings an older one.
SAFE: Mapping[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def write_backup(home: Path, file: Path) -> int:
    """Returns how many files it holds. A file that exists is not touched, also one that another backup wrote meanwhile.
    Raises StackError."""
    if not (home / DATABASE).is_file():
        raise StackError(f"there is no database in {home}")
    if file.exists():
        raise StackError(f"{file} exists")
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")  # half of a backup never looks like one
    try:
        with part.open("xb") as written:
            count = _write(home, written)
        _take_name(file)
        part.replace(file)
    except FileExistsError as error:
        raise StackError(f"{file} exists: another backup was written there meanwhile") from error
    except sqlite3.Error as error:
        raise StackError(f"{home / DATABASE} cannot be copied: {error}") from error
    except OSError as error:
        what = (
            f"{file} cannot be written" if error.filename in (None, str(part)) else f"{error.filename} cannot be read"
        )
        raise StackError(f"{what}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink()
    return count


def _write(home: Path, file: BinaryIO) -> int:
    """On the disk when it returns."""
    with tempfile.TemporaryDirectory(prefix="maskmill-backup-") as scratch, tarfile.open(fileobj=file, mode="w") as tar:
        copy = Path(scratch, DATABASE)
        _copy_database(home / DATABASE, copy)
        tar.add(copy, DATABASE)
        count = 1
        for path, name in _kept(home):
            with suppress(FileNotFoundError):  # deleted meanwhile
                tar.add(path, name, recursive=False)
                count += 1
    file.flush()
    os.fsync(file.fileno())
    return count


def _take_name(file: Path) -> None:
    """Of several that are finished at the same time one gets it. Raises FileExistsError."""
    file.open("xb").close()  # not a link, which a USB stick's file system does not know


class Restored(NamedTuple):
    files: int
    expired: Expired


def read_backup(file: Path, home: Path, *, keep_days: int | None = None) -> Restored:
    """Into a home where there is no database yet; there is one as soon as everything is there. keep_days: jobs that
    have expired since are kept for so many days from now on. Raises StackError."""
    part = home / f"{DATABASE}.part"
    _refuse_other(file)
    with StackHome(home).locked():
        if (home / DATABASE).exists():
            raise StackError(f"there is a database in {home} already; restore into another home")
        try:
            with tarfile.open(file) as archive:
                _refuse_part(archive)
                if not SAFE:
                    _refuse_ways_out(archive)
                files = _unpack(archive, home, part)
            if not part.is_file():
                raise StackError(f"{file} is no backup of a local stack")
            expired = find_expired(part, keep_days=keep_days)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise StackError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
        except sqlite3.Error as error:
            raise StackError(f"the database of {file} cannot be read: {error}") from error
        part.rename(home / DATABASE)
    return Restored(files, expired)


def _refuse_other(file: Path) -> None:
    """Before anything is made of it. Raises StackError."""
    try:
        is_tar = tarfile.is_tarfile(file)
    except OSError as error:
        raise StackError(f"{file} cannot be read: {error.strerror or error}") from error
    if not is_tar:
        raise StackError(f"{file} is no backup of a local stack: it is no TAR file")


def _unpack(archive: tarfile.TarFile, home: Path, part: Path) -> int:
    """Without the objects of jobs and uploads that came after the database was copied: no row names them, so nobody
    would ever remove them. part: where the database goes. Returns how many files. Raises TarError, sqlite3.Error."""
    members = archive.getmembers()
    databases = [each for each in members if each.name == DATABASE]
    for each in databases:
        each.name = part.name
    archive.extractall(home, databases, **SAFE)  # noqa: S202 - its members were looked at
    if part.is_file():
        named = _owners(part)
        members = [each for each in members if (owner := _OWNER.match(each.name)) is None or owner[1] in named]
    archive.extractall(home, members, **SAFE)  # noqa: S202
    return len(members)


def _owners(database: Path) -> set[str]:
    """Ids of jobs, also of those that are still being sent, and of uploads. Raises sqlite3.Error."""
    with closing(sqlite3.connect(database)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        asked = [
            f"SELECT {column} FROM {table}"  # noqa: S608 - of our own words
            for table, column in (("jobs", "id"), ("drafts", "job_id"), ("uploads", "id"))
            if table in tables  # an older version's database lacks some
        ]
        return {each for question in asked for (each,) in connection.execute(question)}


def _refuse_part(archive: tarfile.TarFile) -> None:
    """The library stops at the head of an entry that is missing or damaged, as if it were the end. Raises TarError."""
    archive.getmembers()
    assert archive.fileobj is not None  # it is open
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it breaks off, or is damaged")


def _refuse_ways_out(archive: tarfile.TarFile) -> None:
    """What the library's own filter does. Raises TarError."""
    for member in archive:
        target = posixpath.join(posixpath.dirname(member.name), member.linkname) if member.issym() else member.linkname
        is_plain = member.isfile() or member.isdir() or member.islnk() or member.issym()
        if not is_plain or any(map(_leads_out, (member.name, target))):
            raise tarfile.TarError(f"{member.name[:200]!r} would be unpacked elsewhere")


def _leads_out(name: str) -> bool:
    return name.startswith("/") or posixpath.normpath(name).partition("/")[0] == ".."


def _copy_database(source: Path, copy: Path) -> None:
    """As of one moment, whoever reads or writes. Source: sqlite.org/backup.html."""
    with closing(sqlite3.connect(source)) as found, closing(sqlite3.connect(copy)) as made:
        found.backup(made)


def _kept(home: Path) -> Iterator[tuple[Path, str]]:
    """Files, and links whatever they lead to."""
    for folder in FOLDERS:
        for place, folders, files in os.walk(home / folder, onerror=_raise_unless_gone):
            linked = [each for each in folders if Path(place, each).is_symlink()]
            folders[:] = sorted(each for each in folders if _name(home, place, each) not in NOT_KEPT)
            for each in sorted([*files, *linked]):
                yield Path(place, each), _name(home, place, each)


def _name(home: Path, place: str, name: str) -> str:
    return Path(place, name).relative_to(home).as_posix()


def _raise_unless_gone(error: OSError) -> None:
    """Of a folder that goes meanwhile nothing is left to keep; one that cannot be read is not left out in silence."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error
