"""Files that never pass through the service: in by the store's own address or from a bucket, out into a bucket."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import httpx
import pytest

from tests.factories import picture
from tests.services.processes import wait_for
from tests.services.s3 import S3Bucket, S3Server
from tests.services.valkey import MortalValkey
from tests.stack import Stack, running_stack


@pytest.fixture
def theirs(rclone_server: S3Server) -> S3Bucket:
    """A bucket of the clients, with a picture in it."""
    bucket, data = rclone_server.create_bucket(), picture()
    rclone_server.client().put_object(bucket.bucket, "cam/1.jpg", io.BytesIO(data), len(data))
    return bucket


@pytest.fixture
def stack(
    tmp_path_factory: pytest.TempPathFactory,
    broker: MortalValkey,
    rclone_server: S3Server,
    theirs: S3Bucket,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stack]:
    own = rclone_server.create_bucket()
    monkeypatch.setenv("MASKMILL_STORAGE_BUCKETS", json.dumps({theirs.bucket: {"output": True}}))
    more = {"MASKMILL_BROKER_URL": broker.server.url, "MASKMILL_STORAGE_S3_PUBLIC_ENDPOINT": own.endpoint}
    with running_stack(tmp_path_factory.mktemp("stack"), {**own.environment(), **more}) as running:
        yield running


def test_pictures_come_from_buckets_and_results_go_there(stack: Stack, theirs: S3Bucket) -> None:
    data = picture()
    with stack.http() as http:
        files = [{"name": name, "size": len(data), "content_type": "image/jpeg"} for name in ("sent.jpg", "never.jpg")]
        sent, never = http.post("/uploads", json={"files": files}).raise_for_status().json()["uploads"]
        assert sent["url"].startswith(theirs.endpoint)
        httpx.put(sent["url"], content=data, headers=sent["headers"]).raise_for_status()
        inputs = [
            {"upload": sent["upload"], "ref": "mine"},
            {"prefix": f"{theirs.bucket}/cam/"},
            {"upload": never["upload"]},
            {"object": f"{theirs.bucket}/none.jpg"},
        ]
        job = http.post("/jobs", json={"inputs": inputs, "output": f"{theirs.bucket}/out/"}).raise_for_status().json()
        assert stack.finished(job["id"])["status"] == "partial"
        rows = http.get(f"/jobs/{job['id']}/images").json()["items"]
    told = [(row["name"], row["status"], (row["error"] or {}).get("code"), row["ref"]) for row in rows]
    assert told == [
        ("sent.jpg", "succeeded", None, "mine"),
        ("1.jpg", "succeeded", None, None),
        ("never.jpg", "failed", "input_not_found", None),
        ("none.jpg", "failed", "input_not_found", None),
    ]
    wait_for(lambda: f"out/{job['id']}/manifest.json" in theirs.keys(), what="the results to be in their bucket")  # noqa: SIM118
    wanted = {"mask/sent.png", "overlay/1.jpg", "metrics.csv", "errors.csv"}
    assert {f"out/{job['id']}/{name}" for name in wanted} <= set(theirs.keys())
