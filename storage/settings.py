"""Where state is kept. Read once at the edge; with nothing set, everything lies under the home folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, quote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

import data

# What the client refuses to ask for is found when the settings are read. Upper case and `_`: some servers take them.
_BUCKET = re.compile(r"(?!.*\.\.)(?![0-9.]+$)[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")

DATABASES = ("postgresql", "postgres", "postgresql+psycopg", "sqlite", "sqlite+pysqlite")


class BucketRule(BaseModel):
    """input: objects there may be inputs; output: results may be put there. tenants: those who may; none: all.

    folder: a directory of the host that stands for the bucket; none: a bucket of the S3 server of the settings.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: bool = True
    output: bool = False
    tenants: list[str] | None = None
    folder: Path | None = None


class StorageSettings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="MASKMILL_STORAGE_",
        env_file=".env",
        extra="ignore",
        allow_inf_nan=False,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    home: Path = Field(default=Path(".maskmill"), validation_alias="MASKMILL_HOME")  # not `home`: that is $HOME
    database_url: str | None = None  # postgresql://user:password@host/name; none: SQLite at home
    database_pool_size: int = Field(default=10, ge=1)
    database_pool_overflow: int = Field(default=30, ge=0)
    database_wait_s: float = Field(default=5.0, gt=0)  # for a connection of the pool, and for a lock
    database_answer_s: float = Field(default=8.0, gt=0)  # of PostgreSQL, to one statement
    objects_url: str | None = None  # s3://bucket?endpoint=http://host:port&region=…; none: a directory at home
    s3_endpoint: str | None = None  # http://host:port; here or in objects_url
    s3_bucket: str | None = None
    s3_region: str | None = None
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    s3_public_endpoint: str | None = None  # where clients reach the store; none: no presigned URLs are given out
    s3_pool_size: int = Field(default=32, ge=1)
    s3_connect_timeout_s: float = Field(default=3.0, gt=0)
    s3_read_timeout_s: float = Field(default=8.0, gt=0)
    buckets: dict[str, BucketRule] = {}  # by the name under which clients may name objects in them
    model_folders: list[Path] = []  # none: the bundled models and those at home; a later folder wins
    label_space_folder: Path | None = None  # of label spaces of one's own, a JSON file each; none: the one at home

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        self.home = self.home.expanduser().absolute()
        if self.database_url and self.database_url.partition("://")[0] not in DATABASES:
            raise ValueError("database_url must look like postgresql://user:password@host/name or sqlite:////path")
        if self.objects_url:
            self._read_objects_url(self.objects_url)
        if self.s3_bucket and not self.s3_endpoint:
            raise ValueError("an S3 bucket needs its endpoint, for example http://127.0.0.1:9000")
        self._check_endpoints()
        if self.s3_bucket and not _BUCKET.fullmatch(self.s3_bucket):
            raise ValueError(f"a bucket's name has 3 to 63 letters, digits, dots and hyphens, not {self.s3_bucket!r}")
        self._check_buckets()
        if not self.model_folders:
            self.model_folders = [Path(data.__file__).parent / "models", self.home / "models"]
        return self

    def _check_endpoints(self) -> None:
        for name, url in (("s3_endpoint", self.s3_endpoint), ("s3_public_endpoint", self.s3_public_endpoint)):
            if url and not _is_web_address(url):
                raise ValueError(f"{name} must look like http://host:port or https://host")

    def _check_buckets(self) -> None:
        for name, rule in self.buckets.items():
            if not _BUCKET.fullmatch(name):
                raise ValueError(f"a bucket's name has 3 to 63 letters, digits, dots and hyphens, not {name!r}")
            if rule.folder is None and not self.s3_endpoint:
                raise ValueError(f"the bucket {name} needs a folder, or an S3 endpoint to be found at")
            if rule.folder is None and name == self.s3_bucket:
                raise ValueError("the service's own bucket holds what belongs to all tenants; clients may not name it")

    def _read_objects_url(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.path.strip("/") or "@" in parts.netloc:
            raise ValueError(
                "objects_url must look like s3://bucket?endpoint=http://host:port&region=name, without keys"
            )
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.s3_bucket = self.s3_bucket or parts.netloc
        self.s3_endpoint = self.s3_endpoint or query.get("endpoint")
        self.s3_region = self.s3_region or query.get("region")

    @property
    def resolved_label_space_folder(self) -> Path:
        return self.label_space_folder or self.home / "label-spaces"

    @property
    def resolved_database_url(self) -> str:
        """As SQLAlchemy takes it, with our driver."""
        if not self.database_url:
            return f"sqlite:///{quote(str(self.home / 'maskmill.db'))}"
        scheme, separator, rest = self.database_url.partition("://")
        drivers = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
        return drivers.get(scheme, scheme) + separator + rest


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port, or brackets, that are none
        return False
