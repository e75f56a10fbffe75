"""`python -m storage.objects.create_bucket`: wait for the object store and make its bucket, for others to use."""

from __future__ import annotations

import sys
import time
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.error import MinioException, S3Error
from minio.lifecycleconfig import AbortIncompleteMultipartUpload, LifecycleConfig, Rule

from storage.settings import StorageSettings

WAIT_S = 120.0
ALREADY_THERE = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")
UNFINISHED_DAYS = 1  # after which parts of uploads whose process was killed are removed by the store


def main() -> int:
    settings = StorageSettings()
    if not settings.s3_endpoint or not settings.s3_bucket:
        _say("no S3 store is configured; nothing to do")
        return 0
    client = _client(settings)
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            if _create(client, settings.s3_bucket):
                _forget_unfinished_uploads(client, settings.s3_bucket)
        except (urllib3.exceptions.HTTPError, S3Error) as error:
            if time.monotonic() > deadline:
                _say(f"the store at {settings.s3_endpoint} did not take the bucket within {WAIT_S:.0f} s: {error}")
                return 1
            time.sleep(1)
        else:
            _say(f"bucket {settings.s3_bucket} is there")
            return 0


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


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


def _create(client: Minio, bucket: str) -> bool:
    """False when it was there before: then its rules are somebody else's."""
    if client.bucket_exists(bucket):
        return False
    try:
        client.make_bucket(bucket)
    except S3Error as error:
        if error.code not in ALREADY_THERE:
            raise
        return False
    return True


def _forget_unfinished_uploads(client: Minio, bucket: str) -> None:
    """Nobody sees such parts, and they take room for ever. A store without lifecycle rules keeps them, and says so."""
    rule = Rule(
        ENABLED,
        rule_filter=Filter(prefix=""),
        rule_id="unfinished-uploads",
        abort_incomplete_multipart_upload=AbortIncompleteMultipartUpload(UNFINISHED_DAYS),
    )
    try:
        client.set_bucket_lifecycle(bucket, LifecycleConfig([rule]))
    except MinioException as error:  # also an answer that is no S3 error
        _say(f"the store takes no lifecycle rule; unfinished uploads stay until you remove them: {error}")


if __name__ == "__main__":
    sys.exit(main())
