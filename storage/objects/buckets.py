"""Buckets that clients may name, in S3 or as directories: an adapter of `jobs.uploads.buckets.Buckets`."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from jobs.errors import ObjectNotFound, StorageUnavailable
from jobs.ports import Readable
from jobs.uploads.buckets import Buckets, bounded
from storage.objects.keys import checked_key
from storage.objects.pieces import PIECE, write_from, writing
from storage.objects.places import OpenPlace, Place
from storage.settings import BucketRule, StorageSettings


def open_buckets(settings: StorageSettings) -> Buckets:
    """Connects when it is first used."""
    return _Buckets(settings.buckets, settings)


class _Buckets:
    """Safe for many threads at once."""

    def __init__(self, rules: Mapping[str, BucketRule], settings: StorageSettings) -> None:
        self._rules = rules
        self._on_server = _on_server(settings)

    def allows(self, bucket: str, tenant: str, *, output: bool = False) -> bool:
        rule = self._rules.get(bucket)
        if rule is None or not (rule.output if output else rule.input):
            return False
        return rule.tenants is None or tenant in rule.tenants

    def names(self, bucket: str, prefix: str) -> Iterator[str]:
        return self._place(bucket).names(prefix)

    def stream(self, location: str, *, most: int) -> Iterator[bytes]:
        bucket, _, key = location.partition("/")
        return self._place(bucket).stream(_plain(key), most=most)

    def put(self, location: str, data: bytes | Readable, *, media_type: str) -> None:
        bucket, _, key = location.partition("/")
        self._place(bucket).put(_plain(key), io.BytesIO(data) if isinstance(data, bytes) else data, media_type)

    def _place(self, bucket: str) -> Place:
        rule = self._rules.get(bucket)
        if rule is not None and rule.folder is not None:
            return _Folder(rule.folder)
        if rule is None or self._on_server is None:
            raise ObjectNotFound("there is no such bucket")
        return self._on_server(bucket)


def _raise_unless_gone(error: OSError) -> None:
    """Pictures of a folder that cannot be listed are not left out in silence."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise StorageUnavailable(f"the bucket cannot be listed: {error.strerror}") from error


class _Folder:
    """Files as they are. What leads out of the folder, also by a link, is not there."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self, prefix: str) -> Iterator[str]:
        if not self._root.is_dir():
            raise ObjectNotFound("there is no such bucket")
        begin = (self._root / (prefix + "x")).parent
        if not self._is_inside(begin):
            return
        for folder, folders, files in os.walk(begin, onerror=_raise_unless_gone):
            folders.sort()
            place = Path(folder).relative_to(self._root).as_posix()
            above = "" if place == "." else f"{place}/"
            for name in sorted(files):
                key = above + name
                if key.startswith(prefix) and not name.startswith("."):
                    yield key

    def stream(self, key: str, *, most: int) -> Iterator[bytes]:
        path = self._root / key
        try:
            if not self._is_inside(path):
                raise ObjectNotFound("there is no such object")
            with path.open("rb") as file:
                yield from bounded(iter(partial(file.read, PIECE), b""), most)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ObjectNotFound("there is no such object") from None
        except OSError as error:
            raise StorageUnavailable(f"the bucket cannot be read: {error.strerror}") from error

    def put(self, key: str, data: Readable, _media_type: str) -> None:
        path = self._root / key
        if not self._is_inside(path.parent):
            raise ObjectNotFound("there is no such place in the bucket")
        part = path.with_name(f".{secrets.token_hex(8)}.part")
        with writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            file = part.open("xb", buffering=0)
        try:
            with file:
                write_from(file, data)
            with writing():
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _is_inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self._root.resolve())


def _on_server(settings: StorageSettings) -> OpenPlace | None:
    if settings.s3_endpoint is None:
        return None
    from storage.objects.s3_bucket import open_server  # takes a tenth of a second, which most do not need

    return open_server(settings)


def _plain(key: str) -> str:
    try:
        return checked_key(key)
    except ValueError:
        raise ObjectNotFound("there is no such object") from None
