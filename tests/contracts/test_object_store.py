"""What `jobs.ports.ObjectStore` promises, on every adapter."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from jobs.errors import ObjectNotFound, StorageUnavailable
from jobs.ports import ObjectStore
from storage.objects import open_objects
from storage.settings import StorageSettings
from tests.services.processes import free_port
from tests.services.s3 import S3Bucket, s3_settings

PART = 8 * 1024 * 1024


class Slow:
    """A file object that gives a little at a time, has no length and no seek, and may break off."""

    def __init__(self, data: bytes, *, breaks: bool = False) -> None:
        self._file = io.BytesIO(data)
        self._breaks = breaks
        self.largest = 0

    def read(self, size: int = -1, /) -> bytes:
        self.largest = max(self.largest, size if size >= 0 else 1 << 60)
        piece = self._file.read(min(size, 100_000) if size >= 0 else -1)
        if not piece and self._breaks:
            raise ConnectionAbortedError("the client went away")
        return piece


def put(store: ObjectStore, *keys: str) -> None:
    for key in keys:
        store.put(key, key.encode(), media_type="text/plain")


def test_an_object_comes_back_as_it_was_put(store: ObjectStore):
    assert store.put("jobs/a/inputs/000000", b"bytes", media_type="image/png") == 5
    assert store.get("jobs/a/inputs/000000") == b"bytes"


def test_what_is_only_expected_is_not_there(store: ObjectStore):
    store.expect(["jobs/a/mask/0", "jobs/a/overlay/0"])
    assert list(store.keys("jobs/a/")) == []
    with pytest.raises(ObjectNotFound):
        store.get("jobs/a/mask/0")
    put(store, "jobs/a/mask/0")
    assert list(store.keys("jobs/a/")) == ["jobs/a/mask/0"]


def test_an_empty_object_is_an_object(store: ObjectStore):
    assert store.put("empty", b"", media_type="text/plain") == 0
    assert store.get("empty") == b""
    assert store.info("empty").size == 0
    assert list(store.stream("empty", start=0, length=4)) in ([], [b""])


def test_the_media_type_is_kept(store: ObjectStore):
    store.put("k", b"{}", media_type="application/geo+json")
    info = store.info("k")
    assert (info.key, info.size, info.media_type) == ("k", 2, "application/geo+json")


def test_a_second_put_replaces_the_first(store: ObjectStore):
    store.put("k", b"old and longer", media_type="text/plain")
    store.put("k", b"new", media_type="image/png")
    assert store.get("k") == b"new"
    assert store.info("k").media_type == "image/png"


def test_a_copy_outlives_what_it_was_made_from(store: ObjectStore):
    store.put("a/k", b"bytes", media_type="image/png")
    store.copy("a/k", "b/k")
    store.copy("a/k", "b/k")
    store.delete("a/k")
    assert (store.get("b/k"), store.info("b/k").media_type) == (b"bytes", "image/png")
    assert list(store.keys("")) == ["b/k"]


def test_neither_a_copy_nor_what_it_was_made_from_changes_with_the_other(store: ObjectStore):
    put(store, "k", "l")
    store.copy("k", "l")
    store.put("k", b"new", media_type="text/plain")
    assert (store.get("k"), store.get("l")) == (b"new", b"k")


def test_what_is_not_there_cannot_be_copied(store: ObjectStore):
    put(store, "l")
    with pytest.raises(ObjectNotFound):
        store.copy("k", "l")
    assert store.get("l") == b"l"


def test_a_file_object_is_read_to_its_end(store: ObjectStore):
    data = os.urandom(1_000_003)
    assert store.put("k", Slow(data), media_type="image/png") == len(data)
    assert store.get("k") == data


def test_a_large_file_object_is_stored_in_parts(store: ObjectStore):
    data = os.urandom(2 * PART + 5)
    source = Slow(data)
    assert store.put("k", source, media_type="image/png") == len(data)
    assert b"".join(store.stream("k")) == data
    assert store.info("k").size == len(data)
    assert source.largest <= PART + 1


@pytest.mark.parametrize("size", [PART - 1, PART, PART + 1])
def test_sizes_around_a_part_are_whole(store: ObjectStore, size: int):
    assert store.put("k", Slow(bytes(size)), media_type="image/png") == size
    assert store.info("k").size == size


@pytest.mark.parametrize("size", [0, 1000, PART + 1000])
def test_an_upload_that_breaks_off_leaves_the_old_object(store: ObjectStore, size: int):
    store.put("k", b"old", media_type="text/plain")
    with pytest.raises(ConnectionAbortedError):
        store.put("k", Slow(bytes(size), breaks=True), media_type="image/png")
    assert store.get("k") == b"old"
    assert list(store.keys("k")) == ["k"]


@pytest.mark.parametrize(
    ("start", "length"), [(0, None), (3, None), (0, 4), (3, 4), (9, 1), (9, 100), (10, None), (10, 5), (50, 5), (4, 0)]
)
def test_a_range_is_the_same_part_of_the_bytes(store: ObjectStore, start: int, length: int | None):
    data = b"0123456789"
    store.put("k", data, media_type="text/plain")
    expected = data[start:] if length is None else data[start : start + length]
    assert b"".join(store.stream("k", start=start, length=length)) == expected


def test_a_long_range_comes_in_pieces(store: ObjectStore):
    data = os.urandom(3_000_000)
    store.put("k", data, media_type="image/png")
    assert b"".join(store.stream("k", start=123_456, length=2_000_000)) == data[123_456:2_123_456]


def test_a_stream_that_nobody_reads_can_be_dropped(store: ObjectStore):
    store.put("k", bytes(2_000_000), media_type="image/png")
    for _ in range(50):
        store.stream("k")
    stream = store.stream("k")
    next(stream)
    del stream
    assert store.info("k").size == 2_000_000


@pytest.mark.parametrize("length", [None, 0, 3])
def test_a_missing_object_is_an_error_before_the_first_piece(store: ObjectStore, length: int | None):
    with pytest.raises(ObjectNotFound):
        store.stream("jobs/a/none", length=length)


def test_a_missing_object_is_an_error_to_every_reader(store: ObjectStore):
    with pytest.raises(ObjectNotFound):
        store.get("none")
    with pytest.raises(ObjectNotFound):
        store.info("none")


def test_a_folder_is_not_an_object(store: ObjectStore):
    put(store, "jobs/a/mask/000000")
    with pytest.raises(ObjectNotFound):
        store.get("jobs/a")
    with pytest.raises(ObjectNotFound):
        store.info("jobs/a/mask")


def test_deleting_twice_is_deleting_once(store: ObjectStore):
    put(store, "jobs/a/1", "jobs/a/2")
    store.delete("jobs/a/1")
    store.delete("jobs/a/1")
    store.delete("jobs/never/was")
    assert list(store.keys("jobs/")) == ["jobs/a/2"]


def test_a_deleted_object_can_be_put_again(store: ObjectStore):
    put(store, "jobs/a/1")
    store.delete("jobs/a/1")
    put(store, "jobs/a/1")
    assert store.get("jobs/a/1") == b"jobs/a/1"


def test_a_prefix_is_deleted_with_all_below_it_and_nothing_beside_it(store: ObjectStore):
    put(store, "jobs/a/inputs/0", "jobs/a/inputs/1", "jobs/a/mask/0", "jobs/ab/mask/0", "jobs/b/mask/0")
    assert store.delete_prefix("jobs/a/") == 3
    assert set(store.keys("jobs/")) == {"jobs/ab/mask/0", "jobs/b/mask/0"}


def test_deleting_an_empty_prefix_deletes_nothing(store: ObjectStore):
    assert store.delete_prefix("jobs/none/") == 0


def test_more_objects_than_fit_one_request_are_deleted(store: ObjectStore):
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: put(store, f"jobs/a/{number % 7}/{number}"), range(1040)))
    assert store.delete_prefix("jobs/a/") == 1040
    assert list(store.keys("jobs/")) == []


def test_keys_are_those_that_begin_with_the_prefix(store: ObjectStore):
    put(store, "jobs/a/1", "jobs/a/2", "jobs/b/1", "other")
    assert set(store.keys("jobs/a/")) == {"jobs/a/1", "jobs/a/2"}
    assert set(store.keys("jobs/")) == {"jobs/a/1", "jobs/a/2", "jobs/b/1"}
    assert list(store.keys("none/")) == []


@pytest.mark.parametrize("key", ["a b/ä-ö_ü.png", "plus+and&more=1", "per%20cent", "日本/写真.jpg", "#?;", "a" * 200])
def test_names_of_all_kinds_are_kept(store: ObjectStore, key: str):
    store.put(key, b"x", media_type="text/plain")
    assert store.get(key) == b"x"
    assert list(store.keys(key)) == [key]
    store.delete(key)
    assert list(store.keys(key)) == []


def test_a_store_that_works_passes_its_check(store: ObjectStore):
    store.check()
    assert list(store.keys("m")) == []


def test_a_reader_sees_the_old_object_or_the_new_one(store: ObjectStore):
    versions = [bytes([n]) * 300_000 for n in range(4)]
    store.put("k", versions[0], media_type="image/png")
    seen: list[bytes] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(store.get("k"))

    reader = threading.Thread(target=read)
    reader.start()
    for version in versions * 5:
        store.put("k", version, media_type="image/png")
    done.set()
    reader.join()
    assert all(each in versions for each in seen)


def test_a_presigned_url_serves_the_object_without_us(bucket: S3Bucket):
    store = open_objects(s3_settings(bucket, s3_public_endpoint=bucket.endpoint))
    store.put("jobs/a/mask/0", b"bytes", media_type="image/png")
    url = store.presigned_get("jobs/a/mask/0", expires_s=60)
    assert url is not None
    answer = urllib3.request("GET", url)
    assert (answer.status, answer.data, answer.headers["content-type"]) == (200, b"bytes", "image/png")


def test_a_changed_presigned_url_serves_nothing(bucket: S3Bucket):
    store = open_objects(s3_settings(bucket, s3_public_endpoint=bucket.endpoint))
    put(store, "mine", "yours")
    url = store.presigned_get("mine", expires_s=60)
    assert url is not None
    assert urllib3.request("GET", url.replace("/mine?", "/yours?")).status == 403


def test_without_a_public_endpoint_no_url_is_given_out(store: ObjectStore):
    put(store, "k")
    assert store.presigned_get("k", expires_s=60) is None


def test_a_missing_bucket_is_made(bucket: S3Bucket):
    store = open_objects(s3_settings(bucket, objects_url=None, s3_endpoint=bucket.endpoint, s3_bucket="brand-new"))
    assert list(store.keys("jobs/")) == []
    put(store, "k")
    assert store.get("k") == b"k"


def test_a_wrong_secret_is_a_store_that_is_not_available(bucket: S3Bucket):
    store = open_objects(s3_settings(bucket, s3_secret_key="wrong"))
    for call in (store.check, lambda: store.put("k", b"x", media_type="text/plain"), lambda: store.get("k")):
        with pytest.raises(StorageUnavailable):
            call()


def test_a_server_that_is_away_is_a_store_that_is_not_available():
    away = {"objects_url": f"s3://bucket?endpoint=http://127.0.0.1:{free_port()}", "s3_connect_timeout_s": 0.5}
    store = open_objects(StorageSettings(**away, s3_access_key="k", s3_secret_key="s"))  # type: ignore[arg-type]
    calls: list[Callable[[], object]] = [
        store.check,
        lambda: store.put("k", b"x", media_type="text/plain"),
        lambda: store.stream("k"),
        lambda: store.info("k"),
        lambda: store.delete("k"),
        lambda: store.delete_prefix("jobs/"),
        lambda: list(store.keys("jobs/")),
    ]
    for call in calls:
        with pytest.raises(StorageUnavailable):
            call()
