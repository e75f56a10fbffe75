"""A store that is there and says nothing."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from jobs.errors import StorageSilent
from storage.objects.minio import MinioObjects
from storage.settings import StorageSettings
from tests.services.relay import Relay
from tests.services.s3 import S3Server


def test_a_frozen_store_is_asked_once_and_given_up(rclone_server: S3Server):
    with Relay(urlsplit(rclone_server.endpoint).port or 80).running() as relay:
        settings = StorageSettings(
            s3_bucket="frozen-store",
            s3_endpoint=f"http://127.0.0.1:{relay.port}",
            s3_access_key=rclone_server.access_key,
            s3_secret_key=rclone_server.secret_key,
            s3_read_timeout_s=2.0,
        )
        store = MinioObjects(settings)
        store.put("a", b"1", media_type="text/plain")
        relay.freeze()
        for call in (lambda: store.get("a"), lambda: store.put("b", b"2", media_type="text/plain")):
            with pytest.raises(StorageSilent):
                call()
        relay.thaw()
        assert store.get("a") == b"1"
