"""Bytes by key: a directory, or any S3 server. Adapters of `jobs.ports.ObjectStore`."""

from __future__ import annotations

from jobs.ports import ObjectStore
from storage.objects.local import LocalObjects
from storage.objects.minio import MinioObjects
from storage.settings import StorageSettings


def open_objects(settings: StorageSettings) -> ObjectStore:
    """Connects when it is first used."""
    return MinioObjects(settings) if settings.s3_bucket else LocalObjects(settings.home / "objects")
