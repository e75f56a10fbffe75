"""An object store in a bucket of any S3 server, through the `minio` client and plain S3 calls alone."""

from __future__ import annotations

import io
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from typing import Any, BinaryIO, Self, cast
from urllib.parse import urlsplit

import urllib3
from minio.commonconfig import CopySource
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError, ReadTimeoutError

from jobs.errors import ObjectNotFound, StorageSilent, StorageUnavailable, UploadConflict
from jobs.ports import ObjectInfo, Readable
from jobs.uploads.ports import SignedPut
from jobs.uploads.upload import RESUMABLE_BYTES
from storage.objects.keys import checked_key, checked_prefix
from storage.objects.pieces import ARRIVED, PIECE
from storage.objects.s3_client import PART, S3Client
from storage.objects.s3_requests import PlainRequests, Waiting
from storage.settings import StorageSettings

LONGEST_EXPIRY_S = 7 * 24 * 3600  # S3's limit
NOT_TWICE = {"If-None-Match": "*"}  # what a job may use already is not replaced; the server answers 412
PROBE = "maskmill-check"
DEFAULT_REGION = "us-east-1"  # what servers that know no regions expect; saves asking for the bucket's


class MinioObjects:
    """Safe for many threads at once. Makes the bucket when it is missing."""

    def __init__(self, settings: StorageSettings, waiting: Waiting = nullcontext) -> None:
        """waiting: entered while it waits for the server's answer, by the requests that are made for each picture."""
        if not settings.s3_bucket or not settings.s3_endpoint:
            raise ValueError("an S3 store needs a bucket and an endpoint")
        self._bucket = settings.s3_bucket
        self._client = open_client(settings, settings.s3_endpoint)
        public = settings.s3_public_endpoint
        self._public = None if public is None else open_client(settings, public)
        self._plain = PlainRequests(self._client, settings, waiting) if settings.s3_access_key else None
        self._has_bucket = False
        self._lock = threading.Lock()

    def put(self, key: str, data: bytes | Readable, *, media_type: str) -> int:
        checked_key(key)
        self._need_bucket()
        source = _Counted(io.BytesIO(data) if isinstance(data, bytes) else data)
        small = source.begin()
        if small is not None and self._plain is not None and self._plain.put(key, small, media_type=media_type):
            return len(small)
        length = len(data) if isinstance(data, bytes) else -1
        with translated(key):
            self._client.put_object(
                self._bucket,
                key,
                cast(BinaryIO, source),
                length,
                content_type=media_type,
                part_size=PART,
                num_parallel_uploads=1,  # more would leave threads behind when the source raises
            )
        return source.size

    def expect(self, keys: Iterable[str]) -> None:
        """A bucket has no folders."""

    def copy(self, key: str, target: str, *, size: int | None = None) -> None:
        checked_key(target)
        self._need_bucket()
        with translated(checked_key(key)):
            self._client.copy_object(self._bucket, target, CopySource(self._bucket, key))

    def get(self, key: str) -> bytes:
        return b"".join(self.stream(key))

    def stream(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        checked_key(key)
        if length == 0:  # a range cannot say so
            self.info(key)
            return iter(())
        pieces = self._pieces(key, start, length)
        next(pieces)  # sends the request: a missing object is an error here, and a dropped iterator ends it
        return pieces

    def info(self, key: str) -> ObjectInfo:
        checked_key(key)
        self._need_bucket()
        with translated(key):
            found = self._client.stat_object(self._bucket, key)
        return ObjectInfo(key=key, size=found.size or 0, media_type=found.content_type or "application/octet-stream")

    def delete(self, key: str) -> None:
        checked_key(key)
        self._need_bucket()
        try:
            with translated(key):
                self._client.remove_object(self._bucket, key)
        except ObjectNotFound:
            return  # most servers do not even say so

    def delete_prefix(self, prefix: str) -> int:
        """A thousand objects per request."""
        keys = list(self.keys(checked_prefix(prefix)))
        with translated(prefix):
            failed = list(self._client.remove_objects(self._bucket, [DeleteObject(key) for key in keys]))
        if failed:
            raise StorageUnavailable(f"the object store kept {len(failed)} objects: {failed[0].code}")
        return len(keys)

    def keys(self, prefix: str) -> Iterator[str]:
        self._need_bucket()
        with translated(prefix):
            for found in self._client.list_objects(self._bucket, prefix, recursive=True):
                if found.object_name and not found.is_dir:
                    yield found.object_name

    def presigned_get(self, key: str, *, expires_s: int) -> str | None:
        if self._public is None:
            return None
        expires = timedelta(seconds=max(1, min(expires_s, LONGEST_EXPIRY_S)))
        return self._public.presigned_get_object(self._bucket, checked_key(key), expires=expires)

    def presigned_put(self, key: str, *, size: int, media_type: str, expires_s: int) -> SignedPut | None:
        if self._public is None or size > RESUMABLE_BYTES:
            return None
        headers = {"Content-Type": media_type, "Content-Length": str(size), **NOT_TWICE}
        expires_s = max(1, min(expires_s, LONGEST_EXPIRY_S))
        return self._public.put_url(self._bucket, checked_key(key), headers=headers, expires_s=expires_s)

    def received(self, key: str, *, size: int) -> int:
        try:
            return self.info(key).size
        except ObjectNotFound:
            with translated(key):
                there = self._client.parts_received(self._bucket, key)
        return there if there < size else 0  # all are there and yet no object: its end failed, so it begins anew

    def append(self, key: str, data: Readable, *, offset: int, size: int, media_type: str) -> int:
        with suppress(ObjectNotFound):
            self.info(key)
            raise UploadConflict(ARRIVED)
        with translated(key):
            headers = {"Content-Type": media_type}
            return self._client.append_parts(self._bucket, key, data, offset=offset, size=size, headers=headers)

    def abandon(self, key: str) -> None:
        checked_key(key)
        self._need_bucket()
        with translated(key):
            self._client.drop_parts(self._bucket, key)

    def check(self) -> None:
        self._need_bucket()
        self.put(PROBE, b"", media_type="text/plain")
        self.delete(PROBE)

    def _pieces(self, key: str, start: int, length: int | None) -> Iterator[bytes]:
        """First nothing, once the server has answered; then the bytes."""
        self._need_bucket()
        whole = not start and length is None
        if whole and self._plain is not None and (answer := self._plain.get(key)) is not None:
            yield b""
            yield from answer
            return
        with translated(key):
            try:
                response = self._client.get_object(self._bucket, key, offset=start, length=length or 0)
            except S3Error as error:
                if error.code != "InvalidRange":  # starts at the end or behind it
                    raise
                yield b""
                return
            try:
                yield b""
                yield from response.stream(PIECE)
            finally:
                response.close()
                response.release_conn()

    def _need_bucket(self) -> None:
        if self._has_bucket:
            return
        with self._lock, translated(self._bucket):
            try:
                if not self._client.bucket_exists(self._bucket):
                    self._client.make_bucket(self._bucket)
            except S3Error as error:  # a key that may use the bucket need not be one that may ask for it
                if error.code not in ("AccessDenied", "BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise
            self._has_bucket = True


class _Counted:
    """A file object that knows how much was read of it."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._begun = b""
        self.size = 0

    def begin(self) -> bytes | None:
        """All of it, where that is one piece; it is read from its beginning all the same."""
        first, more = self._source.read(PIECE), self._source.read(PIECE)
        self._begun = first + more
        return None if more else first

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            data, self._begun = self._begun + self._source.read(), b""
        elif self._begun:
            data, self._begun = self._begun[:size], self._begun[size:]
        else:
            data = self._source.read(size)
        self.size += len(data)
        return data


class _XmlErrorsPool(urllib3.PoolManager):
    """Some S3 servers label their errors `text/xml`; the client reads only those labelled `application/xml`."""

    def urlopen(self, method: str, url: str, redirect: bool = True, **options: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        response = super().urlopen(method, url, redirect, **options)
        if response.headers.get("content-type", "").startswith("text/xml"):
            response.headers["content-type"] = "application/xml"
        return response


class _Retry(urllib3.Retry):
    """A connection that was reset is tried again; a server that says nothing would be silent for as long again."""

    def increment(self, *request: Any, **told: Any) -> Self:
        if isinstance(told.get("error"), ReadTimeoutError):
            raise told["error"]
        return super().increment(*request, **told)


def open_client(settings: StorageSettings, endpoint: str) -> S3Client:
    parts = urlsplit(endpoint)
    access, secret = settings.s3_access_key, settings.s3_secret_key
    return S3Client(
        parts.netloc,
        access_key=None if access is None else access.get_secret_value(),
        secret_key=None if secret is None else secret.get_secret_value(),
        secure=parts.scheme == "https",
        region=settings.s3_region or DEFAULT_REGION,
        http_client=_XmlErrorsPool(
            maxsize=settings.s3_pool_size,
            timeout=urllib3.Timeout(connect=settings.s3_connect_timeout_s, read=settings.s3_read_timeout_s),
            retries=_Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
        ),
    )


@contextmanager
def translated(key: str, *, missing: Collection[str] = ()) -> Iterator[None]:
    """missing: further codes that say that there is no such object."""
    try:
        yield
    except S3Error as error:
        if error.code in ("NoSuchKey", *missing):
            raise ObjectNotFound(f"there is no object {key}") from None
        raise StorageUnavailable(f"the object store refused: {error.code}") from error
    except (MinioException, HTTPError) as error:
        raise StorageSilent("the object store does not answer") from error
