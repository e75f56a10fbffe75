"""What an operator may set for the HTTP service. Read once, at the edge; inner code gets values."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ApiSettings(BaseSettings):
    """Sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="MASKMILL_API_", env_file=".env", extra="ignore", allow_inf_nan=False, populate_by_name=True
    )

    host: str = "127.0.0.1"
    allowed_hosts: list[str] = Field(["localhost", "127.0.0.1", "[::1]"], description="without ports; `*`: any")
    trust_network: bool = Field(
        False, description="without any key, answer others than this machine: something in front lets nobody else in"
    )
    key_memory_s: float = Field(2.0, gt=0, description="after so long a revoked key is known as such")
    port: int = Field(8008, ge=0, le=65535)
    default_model: str | None = Field(None, description="None: street-fast, or the catalogue's first")
    max_request_bytes: int = Field(8 * 2**30, ge=1)
    max_image_bytes: int = Field(64 * 2**20, ge=1)
    max_images: int = Field(100_000, ge=1)
    max_pixels: int = Field(
        200_000_000,
        ge=1,
        validation_alias=AliasChoices("max_pixels", "MASKMILL_API_MAX_PIXELS", "MASKMILL_WORKER_MAX_PIXELS"),
        description="told by /limits; the workers hold to theirs; larger masks are not held here",
    )
    film_longest_s: float = Field(4 * 3600.0, gt=0, description="a film that lasts longer is refused")
    film_cpu_s: int = Field(900, ge=1, description="of processor time that the decoding of one film may take")
    film_memory_bytes: int = Field(
        3 * 2**30, ge=2**28, description="of address space that the process that decodes a film may take"
    )
    allow_private_addresses: bool = Field(
        False,
        validation_alias=AliasChoices(
            "allow_private_addresses",
            "MASKMILL_API_ALLOW_PRIVATE_ADDRESSES",
            "MASKMILL_WORKER_ALLOW_PRIVATE_ADDRESSES",
        ),
        description="whether webhooks may name addresses of private networks; the sender holds to its own",
    )
    head_bytes: int = Field(64 * 2**10, ge=1024, description="of a request's line and headers")
    max_headers: int = Field(100, ge=1)
    head_s: float = Field(20.0, gt=0, description="a connection that brings no whole request head for so long ends")
    stall_s: float = Field(60.0, gt=0, description="a client that takes nothing of its answer for so long is cut off")
    max_connections: int = Field(4000, ge=1, description="of one process; beyond, idle ones are closed")
    retention_s: int | None = Field(None, ge=60, description="None: jobs stay until they are deleted")
    poll_s: float = Field(1.0, gt=0, description="how often waited-for jobs are looked at without a hint of the broker")
    heartbeat_s: float = Field(15.0, gt=0, description="a stream on which nothing happens shows that it is alive")
    wait_limit_s: int = Field(60, ge=0, le=600)
    webhook_wait_s: float = Field(15.0, gt=0, description="how long POST /webhooks/test waits for its ping's end")
    predict_wait_s: int = Field(30, ge=1, le=600)
    uploads_at_once: int = Field(16, ge=1)
    uploads_per_caller: int = Field(8, ge=1, description="of them, with one key, or from one address")
    upload_wait_s: float = Field(15.0, ge=0, description="how long a body waits for its turn")
    upload_idle_s: float = Field(60.0, gt=0, description="a body that sends nothing for so long is given up")
    upload_longest_s: float = Field(
        6 * 3600.0,
        gt=0,
        le=23 * 3600.0,
        description="and so is one that takes longer as a whole; after a day upkeep takes its request for dead",
    )
    upload_least_rate: float = Field(
        1024.0, ge=0, description="bytes per second; a body that comes more slowly after upload_idle_s is given up"
    )
    downloads_at_once: int = Field(32, ge=1, description="archives that are being sent")
    downloads_per_caller: int = Field(8, ge=1, description="of them, with one key, or from one address")
    download_wait_s: float = Field(15.0, ge=0, description="how long an archive waits for its turn")
    upload_expires_s: int = Field(24 * 3600, ge=60, le=7 * 24 * 3600, description="until a direct upload is used")
    upload_waiting_bytes: int = Field(
        256 * 2**30, ge=1, description="of direct uploads of one tenant that no job uses yet, all together"
    )
    spool_folder: Path | None = Field(None, description="None: run/uploads in the home folder")
    compat: bool = Field(False, description="also serve the interfaces of before, for clients that exist")
    compat_models: dict[str, str] = Field(
        {
            "deeplab": "street-fast",
            "mask2former": "street-accurate",
            "dilatednet": "street-fast",
            "mask2former_finetuned": "street-accurate",
            "mask2former_pretrained": "street-accurate",
        },
        description="their names of models → ours; a name that the catalogue has means that model",
    )
    compat_wait_s: float = Field(15.0, gt=0, lt=18, description="they hang up after 20 s")
    tracking_uri: str | None = Field(
        None,
        validation_alias=AliasChoices(
            "tracking_uri", "MASKMILL_API_TRACKING_URI", "MASKMILL_TRAINING_TRACKING_URI", "MLFLOW_TRACKING_URI"
        ),
        description="where runs are tracked: http://host:port, sqlite:///path or postgresql://…; None: mlflow.db at "
        "home; `none`: nowhere",
    )
    presigned_s: int = Field(3600, ge=1)
    worker_silence_s: float = Field(30.0, gt=0, description="a worker that beat within this time is alive")
