"""Which keys a store refuses before it does anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.ports import ObjectStore
from storage.objects.local import LocalObjects
from storage.objects.minio import MinioObjects
from storage.settings import StorageSettings

FORBIDDEN = (
    *("", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", "./a", "a/./b", "a//b", "a/", "a\\b", "a/..\\b"),
    *("a\0b", "a\nb", "\x1b[0m", "a\ud800", "x" * 256, "a/" * 600 + "a", "\x85"),
)


@pytest.fixture(params=["local", "minio"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "local":
        return LocalObjects(tmp_path / "objects")
    return MinioObjects(StorageSettings(home=tmp_path, s3_bucket="bucket", s3_endpoint="http://127.0.0.1:1"))


@pytest.mark.parametrize("key", FORBIDDEN)
@pytest.mark.parametrize("call", ["put", "get", "stream", "info", "delete"])
def test_a_key_that_leads_elsewhere_is_refused(store: ObjectStore, key: str, call: str, tmp_path: Path):
    calls: dict[str, Callable[[], object]] = {
        "put": lambda: store.put(key, b"x", media_type="text/plain"),
        "get": lambda: store.get(key),
        "stream": lambda: store.stream(key),
        "info": lambda: store.info(key),
        "delete": lambda: store.delete(key),
    }
    with pytest.raises(ValueError, match="a key "):
        calls[call]()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("prefix", ["", "/", "a", "../", "a/../", "a//"])
def test_a_prefix_is_a_key_with_a_slash(store: ObjectStore, prefix: str):
    with pytest.raises(ValueError, match=r"a (key|prefix) "):
        store.delete_prefix(prefix)
