"""Real S3 servers: rclone's, from a wheel, everywhere; Ceph's radosgw, from Debian, where it is installed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from minio import Minio

from storage.settings import StorageSettings
from tests.services.processes import accepts_connections, dies_with_us, find_program, free_port, missing, running

REGION = "us-east-1"


class XmlErrorsPool(urllib3.PoolManager):
    """rclone labels its XML errors `text/xml`; the minio client reads only those labelled `application/xml`."""

    def urlopen(self, method: str, url: str, redirect: bool = True, **options: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        response = super().urlopen(method, url, redirect, **options)
        if response.headers.get("content-type", "").startswith("text/xml"):
            response.headers["content-type"] = "application/xml"
        return response


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    name: str
    port: int
    access_key: str
    secret_key: str

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Minio:
        return Minio(
            f"127.0.0.1:{self.port}",
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=False,
            region=REGION,
            http_client=XmlErrorsPool(),
        )

    def create_bucket(self) -> S3Bucket:
        bucket = f"test-{secrets.token_hex(6)}"
        self.client().make_bucket(bucket)
        return S3Bucket(server=self, bucket=bucket)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Bucket:
    """An empty bucket of a running server."""

    server: S3Server
    bucket: str

    @property
    def endpoint(self) -> str:
        return self.server.endpoint

    @property
    def access_key(self) -> str:
        return self.server.access_key

    @property
    def secret_key(self) -> str:
        return self.server.secret_key

    @property
    def region(self) -> str:
        return REGION

    @property
    def url(self) -> str:
        """As MASKMILL_STORAGE_OBJECTS_URL takes it."""
        return f"s3://{self.bucket}?endpoint={self.endpoint}&region={REGION}"

    def environment(self) -> Mapping[str, str]:
        """The settings of a process whose objects lie here."""
        return {
            "MASKMILL_STORAGE_OBJECTS_URL": self.url,
            "MASKMILL_STORAGE_S3_ACCESS_KEY": self.access_key,
            "MASKMILL_STORAGE_S3_SECRET_KEY": self.secret_key,
        }

    def keys(self) -> list[str]:
        found = self.server.client().list_objects(self.bucket, recursive=True)
        return sorted(item.object_name for item in found if item.object_name)


@contextmanager
def rclone(folder: Path, *, in_memory: bool = False) -> Iterator[S3Server]:
    binary = find_program("rclone")
    if binary is None:
        missing("rclone", "the object store on S3")
    root = folder / "buckets"
    root.mkdir(parents=True)
    server = S3Server(
        name="rclone", port=free_port(), access_key=secrets.token_hex(8), secret_key=secrets.token_hex(16)
    )
    place = ":memory:" if in_memory else root
    command: list[str | Path] = [*dies_with_us(), binary, "serve", "s3", "--addr", f"127.0.0.1:{server.port}", place]
    command += ["--auth-key", f"{server.access_key},{server.secret_key}", "--vfs-cache-mode", "off"]
    command += ["--config", folder / "rclone.conf"]
    with running(command, log=folder / "rclone.log", ready=lambda: accepts_connections(server.port)):
        yield server


def s3_settings(bucket: S3Bucket, **changes: Any) -> StorageSettings:
    values = {"objects_url": bucket.url, "s3_access_key": bucket.access_key, "s3_secret_key": bucket.secret_key}
    return StorageSettings(**{**values, **changes})
