"""Wait for the object store and create its bucket: a step of the compose file, run before anything that needs it."""

from __future__ import annotations

import sys
import time
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import S3Error

from storage.settings import StorageSettings

WAIT_S = 120.0
ALREADY_THERE = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


def main() -> int:
    settings = StorageSettings()
    if not settings.s3_endpoint or not settings.s3_bucket:
        print("no S3 store is configured; nothing to do")
        return 0
    client = _client(settings)
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            _create(client, settings.s3_bucket)
        except (urllib3.exceptions.HTTPError, S3Error) as error:
            if time.monotonic() > deadline:
                print(f"the store at {settings.s3_endpoint} did not take the bucket within {WAIT_S:.0f} s: {error}")
                return 1
            time.sleep(1)
        else:
            print(f"bucket {settings.s3_bucket} is there")
            return 0


def _client(settings: StorageSettings) -> Minio:
    assert settings.s3_endpoint
    assert settings.s3_access_key
    assert settings.s3_secret_key
    address = urlsplit(settings.s3_endpoint)
    return Minio(
        address.netloc,
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
        secure=address.scheme == "https",
        region=settings.s3_region,
        http_client=urllib3.PoolManager(timeout=5, retries=False),
    )


def _create(client: Minio, bucket: str) -> None:
    if client.bucket_exists(bucket):
        return
    try:
        client.make_bucket(bucket)
    except S3Error as error:
        if error.code not in ALREADY_THERE:
            raise


if __name__ == "__main__":
    sys.exit(main())
