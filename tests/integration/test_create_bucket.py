"""The step of the compose file that makes the bucket, against a real S3 server."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

import pytest

from tests.architecture.source_files import ROOT
from tests.services.s3 import REGION, S3Server


@pytest.fixture
def bucket():
    return f"made-{secrets.token_hex(6)}"


def create(server: S3Server, bucket: str) -> str:
    environment = {
        "MASKMILL_STORAGE_OBJECTS_URL": f"s3://{bucket}?endpoint={server.endpoint}&region={REGION}",
        "MASKMILL_STORAGE_S3_ACCESS_KEY": server.access_key,
        "MASKMILL_STORAGE_S3_SECRET_KEY": server.secret_key,
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "storage.objects.create_bucket"]
    done = subprocess.run(command, env=os.environ | environment, check=True, capture_output=True, text=True)
    return done.stdout


def test_the_bucket_is_made_once_and_unfinished_uploads_are_given_a_day(any_s3_server, bucket):
    first = create(any_s3_server, bucket)
    assert f"bucket {bucket} is there" in first
    assert any_s3_server.client().bucket_exists(bucket)
    if any_s3_server.name == "rclone":
        assert "the store takes no lifecycle rule" in first
    else:
        (rule,) = any_s3_server.client().get_bucket_lifecycle(bucket).rules
        assert rule.abort_incomplete_multipart_upload.days_after_initiation == 1
    assert create(any_s3_server, bucket).strip() == f"bucket {bucket} is there"
