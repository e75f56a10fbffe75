"""Bytes by key: a directory, or any S3 server. Adapters of `jobs.ports.ObjectStore`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from jobs.ports import ObjectStore
from storage.objects.local import LocalObjects
from storage.settings import StorageSettings


def open_objects(
    settings: StorageSettings, waiting: Callable[[], AbstractContextManager[None]] = nullcontext
) -> ObjectStore:
    """Connects when it is first used. Raises StorageUnavailable for a directory that cannot be read.

    waiting: entered while a server is waited for, which a directory is not.
    """
    if settings.s3_bucket:
        from storage.objects.minio import MinioObjects  # takes a tenth of a second, which a directory does not need

        return MinioObjects(settings, waiting)
    store = LocalObjects(settings.home / "objects")
    store.remove_abandoned()
    return store
