"""Empty files and folders that are made while nobody waits for them, on a disk that takes its time to make one."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

SPARE_FILES = 3  # as many as a lone picture needs


class _Folder(NamedTuple):
    """inner: the name of the empty folder in it."""

    path: str
    inner: str


class Ahead:
    """Safe for many threads, and for processes that fork: who renames a thing has it, and everybody does without.

    What a process has at hand when it ends is removed with what else lies in `incoming`.
    """

    def __init__(self, incoming: Path) -> None:
        self._incoming = incoming
        self._files: list[str] = []
        self._folders: list[_Folder] = []
        self._inner = ""  # what the folder was called for which there was none

    def fill_up(self) -> None:
        """Raises OSError."""
        while len(self._files) < SPARE_FILES:
            path = self._new_path()
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
            self._files.append(path)
        if self._inner and not self._folders:
            folder = _Folder(self._new_path(), self._inner)
            os.makedirs(f"{folder.path}/{folder.inner}")  # noqa: PTH103
            self._folders.append(folder)

    def take_file(self, path: str) -> int | None:
        """An empty file, at this path from now on, open for writing."""
        with suppress(IndexError, OSError):  # it may have been removed as abandoned
            os.rename(self._files.pop(), path)  # noqa: PTH104
            return os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        return None

    def make_folder(self, path: str) -> None:
        """With all above it. Raises OSError, also when it is there."""
        above, name = os.path.split(path)
        if not os.path.isdir(above):  # noqa: PTH112
            self._inner = name
            with suppress(IndexError, OSError):
                spare = self._folders.pop()  # for good: one that is gone would stand in the way of the next
                if spare.inner != name:
                    os.rename(f"{spare.path}/{spare.inner}", f"{spare.path}/{name}")  # noqa: PTH104
                os.rename(spare.path, above)  # noqa: PTH104 - fails unless that is missing, or empty
                return
        os.makedirs(path)  # noqa: PTH103

    def _new_path(self) -> str:
        return f"{self._incoming}/{secrets.token_hex(16)}"
