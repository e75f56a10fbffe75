"""Buckets that clients may name, in S3 or as directories: an adapter of `jobs.uploads.buckets.Buckets`."""

from __future__ import annotations

import io
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

from jobs.errors import ObjectNotFound, StorageUnavailable, TooManyBytes
from jobs.ports import Readable
from jobs.uploads.buckets import Buckets
from storage.objects.keys import checked_key
from storage.objects.minio import open_client, translated
from storage.objects.pieces import write_from, writing
from storage.objects.s3_client import PART, S3Client
from storage.settings import BucketRule, StorageSettings

_KEY = re.compile(rb"<Key>([^<]*)</Key>")
_NEXT = re.compile(rb"<NextContinuationToken>([^<]*)</NextContinuationToken>")
_ENTITY = re.compile(r"&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|(amp|lt|gt|quot|apos));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_NO_BUCKET = ("NoSuchBucket",)


def open_buckets(settings: StorageSettings) -> Buckets:
    """Connects when it is first used."""
    return _Buckets(settings.buckets, settings)


class _Buckets:
    """Safe for many threads at once."""

    def __init__(self, rules: Mapping[str, BucketRule], settings: StorageSettings) -> None:
        self._rules = rules
        self._client = open_client(settings, settings.s3_endpoint) if settings.s3_endpoint else None

    def allows(self, bucket: str, tenant: str, *, output: bool = False) -> bool:
        rule = self._rules.get(bucket)
        if rule is None or not (rule.output if output else rule.input):
            return False
        return rule.tenants is None or tenant in rule.tenants

    def names(self, bucket: str, prefix: str) -> Iterator[str]:
        return self._place(bucket).names(prefix)

    def read(self, location: str, *, most: int) -> bytes:
        bucket, _, key = location.partition("/")
        return self._place(bucket).read(_plain(key), most=most)

    def put(self, location: str, data: bytes | Readable, *, media_type: str) -> None:
        bucket, _, key = location.partition("/")
        self._place(bucket).put(_plain(key), io.BytesIO(data) if isinstance(data, bytes) else data, media_type)

    def _place(self, bucket: str) -> _Folder | _S3Bucket:
        rule = self._rules.get(bucket)
        if rule is not None and rule.folder is not None:
            return _Folder(rule.folder)
        if rule is None or self._client is None:
            raise ObjectNotFound("there is no such bucket")
        return _S3Bucket(self._client, bucket)


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
        for folder, folders, files in os.walk(begin):
            folders.sort()
            for name in sorted(files):
                key = Path(folder, name).relative_to(self._root).as_posix()
                if key.startswith(prefix) and not name.startswith("."):
                    yield key

    def read(self, key: str, *, most: int) -> bytes:
        path = self._root / key
        try:
            if not self._is_inside(path):
                raise ObjectNotFound("there is no such object")
            with path.open("rb") as file:
                return _bounded(file.read(most + 1), most)
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


class _S3Bucket:
    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def names(self, prefix: str) -> Iterator[str]:
        """A thousand a request; taken out of the answer as text, since a tree of it would take ten times as long."""
        token: str | None = None
        while True:
            with translated(self._bucket, missing=_NO_BUCKET):
                answer = self._client.listed(self._bucket, prefix, token)
            for found in _KEY.findall(answer):
                yield _text(found)
            more = _NEXT.search(answer)
            if more is None:
                return
            token = _text(more[1])

    def read(self, key: str, *, most: int) -> bytes:
        with translated(key, missing=_NO_BUCKET):
            response = self._client.get_object(self._bucket, key)
            try:
                return _bounded(response.read(most + 1), most)
            finally:
                response.close()
                response.release_conn()

    def put(self, key: str, data: Readable, media_type: str) -> None:
        with translated(key, missing=_NO_BUCKET):
            self._client.put_object(
                self._bucket,
                key,
                cast(BinaryIO, data),
                -1,
                content_type=media_type,
                part_size=PART,
                num_parallel_uploads=1,
            )


def _text(written: bytes) -> str:
    """What stands in XML, its entities replaced: the five that have names, and those by number."""
    return _ENTITY.sub(_character, written.decode())


def _character(entity: re.Match[str]) -> str:
    hexadecimal, decimal, name = entity.groups()
    return _NAMED[name] if name else chr(int(hexadecimal, 16) if hexadecimal else int(decimal))


def _bounded(data: bytes, most: int) -> bytes:
    if len(data) > most:
        raise TooManyBytes(f"the object is larger than {most} bytes")
    return data


def _plain(key: str) -> str:
    try:
        return checked_key(key)
    except ValueError:
        raise ObjectNotFound("there is no such object") from None
