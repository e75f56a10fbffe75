"""What `jobs.ports.ObjectStore` promises of objects that come piece by piece, or straight from a client."""

from __future__ import annotations

import io
import os
from pathlib import Path

import httpx
import pytest

from jobs.errors import ObjectNotFound, StorageUnavailable, TooManyBytes, UploadConflict
from jobs.ports import ObjectStore
from storage.objects import local, open_objects, pieces
from storage.objects.s3_client import S3Client
from storage.settings import StorageSettings
from tests.services.s3 import S3Bucket, S3Server, s3_settings

KEY = "default/uploads/9/upl_1"
PART = 8 * 2**20  # what an S3 store keeps of a piece that broke off: whole parts


class Breaks(io.BytesIO):
    """Breaks off behind its bytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        if not piece:
            raise ConnectionAbortedError("the client went away")
        return piece


def append(store: ObjectStore, data: bytes, *, size: int, offset: int = 0, breaks: bool = False) -> int:
    source = Breaks(data) if breaks else io.BytesIO(data)
    return store.append(KEY, source, offset=offset, size=size, media_type="image/png")


def test_an_object_may_come_in_one_piece(store: ObjectStore):
    assert store.received(KEY, size=5) == 0
    assert append(store, b"bytes", size=5) == 5
    assert (store.get(KEY), store.info(KEY).media_type, store.received(KEY, size=5)) == (b"bytes", "image/png", 5)


def test_a_cut_object_goes_on_where_it_broke_off(store: ObjectStore):
    data = os.urandom(PART) + os.urandom(1000)
    with pytest.raises(ConnectionAbortedError):
        append(store, data[: PART + 10], size=len(data), breaks=True)
    there = store.received(KEY, size=len(data))
    assert there in (PART, PART + 10)
    with pytest.raises(ObjectNotFound):
        store.info(KEY)
    assert append(store, data[there:], offset=there, size=len(data)) == len(data)
    assert store.get(KEY) == data
    assert list(store.keys("")) == [KEY]


def test_other_bytes_than_those_that_are_missing_are_refused(store: ObjectStore):
    with pytest.raises(UploadConflict):
        append(store, b"bytes", offset=3, size=8)


def test_what_begins_anew_replaces_what_came(store: ObjectStore):
    with pytest.raises(ConnectionAbortedError):
        append(store, b"x" * PART, size=PART + 3, breaks=True)
    assert append(store, b"abc", size=3) == 3
    assert store.get(KEY) == b"abc"


def test_what_has_arrived_is_not_replaced(store: ObjectStore):
    append(store, b"bytes", size=5)
    with pytest.raises(UploadConflict, match="has arrived already"):
        append(store, b"other", size=5)
    assert (store.get(KEY), store.received(KEY, size=5)) == (b"bytes", 5)
    assert list(store.keys("")) == [KEY]


def test_more_bytes_than_announced_are_refused(store: ObjectStore):
    with pytest.raises(TooManyBytes):
        append(store, b"bytes", size=4)
    with pytest.raises(ObjectNotFound):
        store.info(KEY)


def test_what_is_abandoned_is_forgotten(store: ObjectStore):
    with pytest.raises(ConnectionAbortedError):
        append(store, b"x" * PART, size=PART + 3, breaks=True)
    store.abandon(KEY)
    store.abandon(KEY)
    assert store.received(KEY, size=PART + 3) == 0


def test_a_file_whose_end_failed_is_not_said_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = open_objects(StorageSettings(home=tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(local.LocalObjects, "_publish", _fails)
        _breaks_at_its_end(store)
    _comes_when_it_is_sent_again(store)


def test_parts_that_were_never_joined_are_not_said_to_be_an_object(bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch):
    store = open_objects(s3_settings(bucket))
    with monkeypatch.context() as patched:
        patched.setattr(S3Client, "_complete_multipart_upload", _fails)
        _breaks_at_its_end(store)
    _comes_when_it_is_sent_again(store)


def _breaks_at_its_end(store: ObjectStore) -> None:
    with pytest.raises(StorageUnavailable):
        append(store, b"bytes", size=5)
    assert store.received(KEY, size=5) == 0


def _comes_when_it_is_sent_again(store: ObjectStore) -> None:
    assert store.received(KEY, size=5) == 0
    assert append(store, b"bytes", size=5) == 5
    assert (store.get(KEY), store.received(KEY, size=5)) == (b"bytes", 5)


def _fails(*_: object, **__: object) -> None:
    raise StorageUnavailable("the store is away")


def test_two_who_send_the_same_file_to_a_directory_do_not_mix(tmp_path: Path):
    store = open_objects(StorageSettings(home=tmp_path))

    class Meanwhile(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            with pytest.raises(UploadConflict):
                append(store, b"other", size=5)
            return super().read(size)

    assert store.append(KEY, Meanwhile(b"bytes"), offset=0, size=5, media_type="image/png") == 5
    assert store.get(KEY) == b"bytes"


def test_a_directory_takes_no_upload_that_would_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pieces, "SPARE_BYTES", 2**60)
    store = open_objects(StorageSettings(home=tmp_path))
    with pytest.raises(StorageUnavailable, match="no room"):
        append(store, b"bytes", size=5)


def test_an_address_takes_what_it_was_signed_for_and_nothing_else(bucket: S3Bucket):
    store = open_objects(s3_settings(bucket, s3_public_endpoint=bucket.endpoint))
    signed = store.presigned_put("a b/ü", size=5, media_type="image/png", expires_s=60)
    assert signed is not None
    assert httpx.put(signed.url, content=b"bytes!", headers={"Content-Type": "image/png"}).status_code == 403
    assert httpx.put(signed.url, content=b"bytes", headers={"Content-Type": "image/gif"}).status_code == 403
    assert httpx.put(signed.url.replace("b/", "c/"), content=b"bytes", headers=signed.headers).status_code == 403
    assert httpx.put(signed.url, content=b"bytes", headers=signed.headers).status_code == 200
    assert (store.get("a b/ü"), store.received("a b/ü", size=5)) == (b"bytes", 5)


def test_an_address_takes_its_object_once_where_the_server_knows_conditions(radosgw_server: S3Server):
    """As S3 itself, MinIO and Ceph do; rclone takes it again."""
    bucket = radosgw_server.create_bucket()
    store = open_objects(s3_settings(bucket, s3_public_endpoint=bucket.endpoint))
    signed = store.presigned_put("k", size=5, media_type="image/png", expires_s=60)
    assert signed is not None
    assert httpx.put(signed.url, content=b"bytes", headers=signed.headers).status_code == 200
    assert httpx.put(signed.url, content=b"other", headers=signed.headers).status_code == 412
    without = {name: value for name, value in signed.headers.items() if name != "If-None-Match"}
    assert httpx.put(signed.url, content=b"other", headers=without).status_code == 403
    assert store.get("k") == b"bytes"


def test_no_address_is_given_out_without_a_public_endpoint_or_for_large_files(bucket: S3Bucket, tmp_path: Path):
    public = s3_settings(bucket, s3_public_endpoint=bucket.endpoint)
    for settings, size in ((s3_settings(bucket), 5), (public, 2**30), (StorageSettings(home=tmp_path), 5)):
        assert open_objects(settings).presigned_put("k", size=size, media_type="image/png", expires_s=60) is None
