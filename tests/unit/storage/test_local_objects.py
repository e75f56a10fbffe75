"""What only a directory does: its files, its folders, what a crash leaves behind."""

from __future__ import annotations

import errno
import io
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.errors import ObjectNotFound, StorageUnavailable
from storage.objects.ahead import SPARE_FILES
from storage.objects.local import ABANDONED_S, EMPTY_S, LocalObjects
from storage.objects.pieces import PIECE
from tests.services.small_disk import SmallDisk, small_disk


@pytest.fixture
def store(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_one_object_is_one_file_that_begins_with_its_bytes(store: LocalObjects, tmp_path: Path):
    store.put("jobs/a/0", b"bytes", media_type="image/png")
    assert files(tmp_path) == ["files/jobs/a/0"]
    assert (tmp_path / "files/jobs/a/0").read_bytes().startswith(b"bytes")


def test_folders_of_what_is_expected_are_there_and_go_with_the_job(store: LocalObjects, tmp_path: Path):
    store.put("jobs/a/inputs/0", b"x", media_type="image/png")
    store.expect(["jobs/a/mask/0", "jobs/a/overlay/0"])
    assert sorted(path.name for path in (tmp_path / "files/jobs/a").iterdir()) == ["inputs", "mask", "overlay"]
    store.delete_prefix("jobs/a/")
    assert not (tmp_path / "files/jobs").exists()


def test_a_store_that_cannot_be_written_expects_in_silence(store: LocalObjects, tmp_path: Path):
    (tmp_path / "files").write_bytes(b"no folder")
    store.expect(["jobs/a/mask/0"])


def inodes(folder: Path) -> set[int]:
    return {path.stat().st_ino for path in folder.iterdir()}


def put(store: LocalObjects, *keys: str) -> None:
    for key in keys:
        store.put(key, key.encode(), media_type="text/plain")


def test_what_was_made_ahead_is_used_and_made_again(store: LocalObjects, tmp_path: Path):
    put(store, "jobs/a/inputs/0")
    store.expect(())
    ahead = inodes(tmp_path / "incoming")
    assert len(ahead) == SPARE_FILES + 1  # the folder is called as the one that was missing
    put(store, "jobs/b/inputs/0", "jobs/b/inputs/1")
    assert inodes(tmp_path / "files/jobs/b/inputs") | {(tmp_path / "files/jobs/b").stat().st_ino} <= ahead
    assert [store.get(key) for key in store.keys("jobs/b/")] == [b"jobs/b/inputs/0", b"jobs/b/inputs/1"]
    assert len(inodes(tmp_path / "incoming")) == SPARE_FILES - 2
    store.expect(())
    assert len(inodes(tmp_path / "incoming")) == SPARE_FILES + 1


@pytest.mark.parametrize(
    "key", ["jobs/a/truth/0", "jobs/a/inputs/1", "jobs/b/mask/0", "uploads/inputs/0", "else/b/inputs/0"]
)
def test_a_folder_that_was_made_ahead_and_does_not_fit_is_kept(store: LocalObjects, tmp_path: Path, key: str):
    put(store, "jobs/a/inputs/0")
    store.expect(())
    put(store, key)
    assert store.get("jobs/a/inputs/0") == b"jobs/a/inputs/0"
    assert store.get(key) == key.encode()


@pytest.mark.parametrize("key", ["jobs/b/inputs/0", "jobs/b/mask/0"])
def test_whatever_came_in_between_a_folder_is_there_ahead(store: LocalObjects, tmp_path: Path, key: str):
    put(store, "jobs/a/inputs/0", "jobs/a/truth/0")
    store.expect(())
    shutil.rmtree(tmp_path / "incoming")
    put(store, "jobs/0/inputs/0", "jobs/0/corrections/0")
    store.expect(())
    ahead = inodes(tmp_path / "incoming")
    put(store, key)
    assert (tmp_path / "files/jobs/b").stat().st_ino in ahead
    assert list(store.keys("jobs/b/")) == [key]


def test_what_was_made_ahead_may_be_gone(store: LocalObjects, tmp_path: Path):
    put(store, "jobs/a/inputs/0")
    store.expect(())
    shutil.rmtree(tmp_path / "incoming")
    put(store, "jobs/b/inputs/0", "jobs/b/mask/0")
    assert list(store.keys("jobs/b/")) == ["jobs/b/inputs/0", "jobs/b/mask/0"]


def test_the_last_object_takes_its_folders_along(store: LocalObjects, tmp_path: Path):
    for key in ("jobs/a/mask/0", "jobs/a/mask/1", "jobs/b/0"):
        store.put(key, b"x", media_type="image/png")
    store.delete("jobs/a/mask/0")
    assert (tmp_path / "files/jobs/a/mask").is_dir()
    store.delete("jobs/a/mask/1")
    assert not (tmp_path / "files/jobs/a").exists()
    store.delete_prefix("jobs/b/")
    assert not (tmp_path / "files/jobs").exists()
    assert (tmp_path / "files").is_dir()


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 7])
@pytest.mark.parametrize("at_most", [1 << 40, 1000], ids=["as asked", "less than asked"])
def test_what_comes_in_pieces_is_there_as_a_whole(store: LocalObjects, tmp_path: Path, size: int, at_most: int):
    content = os.urandom(size)
    whole = io.BytesIO(content)

    class Slow:
        def read(self, size: int = -1, /) -> bytes:
            return whole.read(min(size, at_most))

    assert store.put("a", Slow(), media_type="image/png") == size
    assert store.get("a") == content
    assert files(tmp_path) == ["files/a"]


def test_pieces_on_a_file_system_without_locks_are_refused_with_what_to_do(
    store: LocalObjects, monkeypatch: pytest.MonkeyPatch
):
    def unknown(_file: object, _kind: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unknown)
    with pytest.raises(StorageUnavailable, match=r"cannot be locked \(Operation not supported\): choose a folder on a"):
        store.append("a", io.BytesIO(b"bytes"), offset=0, size=5, media_type="image/png")


def test_a_file_put_there_by_hand_is_an_object_of_unknown_type(store: LocalObjects, tmp_path: Path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/picture").write_bytes(b"by hand")
    assert store.get("picture") == b"by hand"
    assert store.info("picture").media_type == "application/octet-stream"


def test_bytes_that_look_like_a_trailer_stay_bytes(store: LocalObjects, tmp_path: Path):
    store.put("a", b"x", media_type="image/png")
    whole = (tmp_path / "files/a").read_bytes()
    store.put("b", whole, media_type="text/plain")
    assert store.get("b") == whole
    assert store.info("b").media_type == "text/plain"


def test_an_object_may_lie_where_a_folder_was(store: LocalObjects):
    store.put("a/b", b"1", media_type="text/plain")
    store.delete("a/b")
    store.put("a", b"2", media_type="text/plain")
    assert store.get("a") == b"2"


def test_a_key_below_an_object_cannot_be_written(store: LocalObjects):
    store.put("a", b"1", media_type="text/plain")
    with pytest.raises(StorageUnavailable):
        store.put("a/b", b"2", media_type="text/plain")
    with pytest.raises(ObjectNotFound):
        store.get("a/b")
    assert store.delete_prefix("a/") == 0
    assert store.get("a") == b"1"


def test_folders_that_are_emptied_meanwhile_do_not_hurt_a_put(store: LocalObjects):
    def put_and_delete(name: str) -> None:
        for _ in range(100):
            store.put(f"a/b/c/{name}", b"x", media_type="text/plain")
            store.delete(f"a/b/c/{name}")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put_and_delete, "1234"))
    assert list(store.keys("a/")) == []


def test_what_a_crash_left_is_removed_a_day_later(store: LocalObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for key in ("k", "days/old"):
        store.put(key, b"x", media_type="text/plain")
    os.utime(tmp_path / "files/days", (0, 0))
    (tmp_path / "incoming/old").write_bytes(b"half")
    (tmp_path / "incoming/folder").mkdir()
    (tmp_path / "incoming/folder/object").write_bytes(b"deleted by halves")
    time.sleep(0.02)
    now = time.time() + ABANDONED_S
    time.sleep(0.02)
    (tmp_path / "incoming/new").write_bytes(b"half")
    (tmp_path / "files/days").rename(tmp_path / "incoming/days")  # is being deleted by another process
    monkeypatch.setattr("storage.objects.local.time.time", lambda: now)
    store.delete_prefix("none/")
    assert files(tmp_path) == ["files/k", "incoming/days/old", "incoming/new"]


@pytest.mark.parametrize("left", [0, 3, 12])
def test_what_was_cut_is_not_copied_as_if_it_were_whole(store: LocalObjects, tmp_path: Path, left: int):
    store.put("k", b"bytes", media_type="text/plain")
    store.copy("k", "whole", size=5)
    os.truncate(tmp_path / "files/k", left)
    with pytest.raises(ObjectNotFound):
        store.copy("k", "copy", size=5)
    assert files(tmp_path) == ["files/k", "files/whole"]


def test_what_holds_nothing_is_removed_earlier(store: LocalObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A process that is killed leaves the files that it had at hand; one that lives makes others."""
    store.expect(["a/b"])
    (tmp_path / "incoming/half").write_bytes(b"half")
    (tmp_path / "incoming/folder").mkdir()
    assert len(list((tmp_path / "incoming").iterdir())) > 2
    now = time.time() + EMPTY_S + 1
    store.remove_abandoned()
    assert len(list((tmp_path / "incoming").iterdir())) > 2  # nobody knows whose they are
    monkeypatch.setattr("storage.objects.local.time.time", lambda: now)
    store.remove_abandoned()
    assert sorted(path.name for path in (tmp_path / "incoming").iterdir()) == ["folder", "half"]
    store.put("a/b", b"x", media_type="text/plain")
    assert store.get("a/b") == b"x"


def test_removing_what_was_abandoned_needs_no_store(tmp_path: Path):
    LocalObjects(tmp_path / "none").remove_abandoned()
    assert not (tmp_path / "none").exists()


def test_an_object_that_shrinks_while_it_is_read_is_an_error(store: LocalObjects, tmp_path: Path):
    store.put("k", bytes(1_000_000), media_type="text/plain")
    stream = store.stream("k")
    os.truncate(tmp_path / "files/k", 300_000)
    with pytest.raises(StorageUnavailable, match="cut short"):
        list(stream)


def test_a_root_that_is_no_folder_is_a_store_that_is_not_available(tmp_path: Path):
    (tmp_path / "root").write_bytes(b"")
    store = LocalObjects(tmp_path / "root")
    with pytest.raises(StorageUnavailable):
        store.put("k", b"x", media_type="text/plain")
    with pytest.raises(StorageUnavailable):
        store.check()


@pytest.mark.parametrize("media_type", ["", "x" * 256, "image/é"])
def test_a_media_type_is_short_and_plain(store: LocalObjects, media_type: str):
    with pytest.raises(ValueError, match=r"media type|ascii"):
        store.put("k", b"x", media_type=media_type)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


@pytest.mark.parametrize("size", [10, 5_000, 900_000], ids=["small", "some-blocks", "large"])
def test_a_full_disk_is_a_store_that_is_not_available_and_keeps_what_it_had(disk: SmallDisk, size: int):
    store = LocalObjects(disk.root)
    store.put("k", b"old", media_type="text/plain")
    disk.fill()
    with pytest.raises(StorageUnavailable, match="No space"):
        store.put("k", bytes(size), media_type="text/plain")
    with pytest.raises(StorageUnavailable, match="No space"):
        store.check()
    assert store.get("k") == b"old"
    disk.make_room()
    assert store.put("k", bytes(5000), media_type="text/plain") == 5000
    assert files(disk.root) == ["files/k"]


def test_a_disk_that_takes_a_part_only_leaves_no_half_object(disk: SmallDisk):
    store = LocalObjects(disk.root)
    with pytest.raises(StorageUnavailable, match="No space"):
        store.put("k", bytes(2_000_000), media_type="text/plain")
    assert files(disk.root) == []


def test_a_read_only_disk_is_a_store_that_is_not_available_and_can_still_be_read(disk: SmallDisk):
    store = LocalObjects(disk.root)
    store.put("a/k", b"old", media_type="text/plain")
    disk.set_writable(writable=False)
    for change in (
        lambda: store.put("a/k", b"new", media_type="text/plain"),
        lambda: store.delete("a/k"),
        lambda: store.delete_prefix("a/"),
        store.check,
    ):
        with pytest.raises(StorageUnavailable, match="Read-only"):
            change()
    assert store.get("a/k") == b"old"
    disk.set_writable(writable=True)
    store.delete("a/k")
    assert files(disk.root) == []
