"""A bucket that clients may name, on an S3 server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, cast

from jobs.ports import Readable
from jobs.uploads.buckets import bounded
from storage.objects.minio import open_client, translated
from storage.objects.pieces import PIECE
from storage.objects.places import OpenPlace
from storage.objects.s3_client import PART, S3Client
from storage.settings import StorageSettings

_KEY = re.compile(rb"<Key>([^<]*)</Key>")
_NEXT = re.compile(rb"<NextContinuationToken>([^<]*)</NextContinuationToken>")
_ENTITY = re.compile(r"&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|(amp|lt|gt|quot|apos));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_NO_BUCKET = ("NoSuchBucket",)


def open_server(settings: StorageSettings) -> OpenPlace:
    """Gives a bucket of the server in the settings, by its name. Connects when it is first used."""
    assert settings.s3_endpoint is not None
    return partial(S3Bucket, open_client(settings, settings.s3_endpoint))


class S3Bucket:
    """A `Place` on a server."""

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

    def stream(self, key: str, *, most: int) -> Iterator[bytes]:
        with translated(key, missing=_NO_BUCKET):
            response = self._client.get_object(self._bucket, key)
            try:
                yield from bounded(response.stream(PIECE), most)
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
