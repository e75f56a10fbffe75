"""How a worker process uses its machine. Prefix `MASKMILL_WORKER_`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, AliasChoices, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from broker.settings import Home
from jobs.addresses import Address, is_any, is_public
from jobs.deliveries.schedule import PAUSES_S
from segmentation.engines import AUTO, ENGINES, precisions
from storage.registry.mlflow_registry import local_tracking
from worker.tuning.machine import cpu_count


class WorkerSettings(BaseSettings):
    """Read once, at the edge. None means: chosen for the machine."""

    model_config = SettingsConfigDict(
        env_parse_none_str="null",
        env_prefix="MASKMILL_WORKER_",
        env_file=".env",
        extra="ignore",
        allow_inf_nan=False,
        frozen=True,
        populate_by_name=True,
    )

    home: Home = Path(".maskmill")

    engine: Annotated[str, AfterValidator(lambda name: one_of(name, ENGINES))] = AUTO
    precision: Annotated[str, AfterValidator(lambda name: one_of(name, precisions()))] = AUTO
    """Of the arithmetic; `auto` takes what runs fastest here, as measured, of what the card says is as accurate."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    concurrency: int = Field(default=4, ge=1)
    """Slices in flight (Celery's -c)."""
    picture_threads: int | None = Field(default=None, ge=1)
    """Pictures in flight: each thread takes one from its bytes to its artifacts."""
    streams: int | None = Field(default=None, ge=1)
    """Device calls that run side by side; not set: measured with the precision."""
    batch_size: int | None = Field(default=None, ge=1)
    """Most pictures in one device call: 1 on a CPU, where batches gain nothing, 8 on a GPU."""
    batch_wait_ms: float = Field(default=4.0, ge=0)
    """How long a picture waits for others of its shape."""
    memory_limit_mb: int = Field(default=4096, ge=1)
    """Models together; the least recently used one goes first."""
    preload: list[str] = []
    """Models to load before the first slice is taken."""
    follow: list[str] = []
    """Models of the registry to serve and keep up to date: `models:/street@champion`, or `street` for the same."""
    follow_every_s: float = Field(default=5.0, gt=0)
    registry_uri: str | None = Field(
        default=None,
        validation_alias=AliasChoices(
            "registry_uri", "MASKMILL_WORKER_REGISTRY_URI", "MASKMILL_TRAINING_TRACKING_URI", "MLFLOW_TRACKING_URI"
        ),
    )
    """http://host:port or sqlite:///path of MLflow; not set: mlflow.db in the home folder."""

    max_pixels: int = Field(default=200_000_000, ge=1)
    """Of a picture that is held as a whole; with `tile`, larger ones are read by rows."""
    max_tiles: int = Field(default=4096, ge=1)
    """Runs of models that one picture may take, when it is cut into tiles."""
    tile_memory_mb: int = Field(default=1024, ge=1)
    """Logits of tiles that one picture may hold."""
    pixels_in_flight: int = Field(default=200_000_000, ge=1)
    """Of large pictures that are decoded at the same time; small ones do not count."""
    spool_folder: Path | None = None
    """Where large inputs, and artifacts of very large pictures, lie while they are worked on; None: `run/spool` in the
    home folder."""
    image_limit_s: float = Field(default=600.0, gt=0)
    """An image whose steps together take longer ends with `timed_out`; so long for each `max_pixels` of it."""
    device_call_limit_s: float = Field(default=120.0, ge=0)
    """A device call that lasts longer ends the process; 0 switches this off."""
    queue_limit_s: float = Field(default=600.0, gt=0)
    """A picture that waits longer for the device fails with `timed_out`."""
    lease_s: float = Field(default=30.0, gt=0)
    heartbeat_s: float = Field(default=4.0, gt=0)
    beat_s: float = Field(default=5.0, gt=0)
    """Between two signs of life."""
    attempts: int = Field(default=4, ge=1)
    """Tries of an image before a failure that may pass is final."""
    silence_s: float = Field(default=15.0, gt=0)
    """Upkeep sends a queued image again when it saw no message for this long."""

    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=9464, ge=0, le=65535)
    """The first that is free from here on; 0: any; None, written `null`: none."""

    allow_private_addresses: bool = False
    """Whether `url` inputs and webhooks may go into private networks. Only for one whose users are all trusted."""
    download_max_bytes: int = Field(default=64 * 2**20, ge=1)
    download_timeout_s: float = Field(default=30.0, gt=0)

    webhook_threads: int = Field(default=32, ge=1)
    """Webhooks that are sent at the same time."""
    webhooks_per_host: int = Field(default=4, ge=1)
    """Of them, of one tenant to one receiver, over all processes."""
    webhooks_per_tenant: int = Field(default=16, ge=1)
    """Of them, of one tenant, over all processes: fewer than there are threads, or one can hold up all others."""
    webhook_timeout_s: float = Field(default=10.0, gt=0)
    """Of a try as a whole, from the name of the host to the last byte that is kept."""
    webhook_lease_s: float = Field(default=45.0, gt=0)
    """What a process took to send and never wrote down is sent again after this time."""
    webhook_pauses_s: list[Annotated[float, Field(gt=0)]] = list(PAUSES_S)
    """Before each further try; then it is given up."""

    @model_validator(mode="after")
    def _leases_outlast_heartbeats(self) -> Self:
        if self.lease_s < 2 * self.heartbeat_s:
            raise ValueError("lease_s must be at least twice heartbeat_s, or images are taken from workers that live")
        return self

    @model_validator(mode="after")
    def _leases_outlast_tries(self) -> Self:
        if self.webhook_lease_s <= self.webhook_timeout_s:
            raise ValueError("webhook_lease_s must be longer than webhook_timeout_s, or what is sent is sent again")
        return self

    @property
    def resolved_spool_folder(self) -> Path:
        return self.spool_folder or self.home / "run" / "spool"

    @property
    def allowed_addresses(self) -> Callable[[Address], bool]:
        return is_any if self.allow_private_addresses else is_public

    @property
    def resolved_registry_uri(self) -> str:
        if self.registry_uri and self.registry_uri != "none":  # as training may say
            return self.registry_uri
        return local_tracking(self.home)

    def picture_thread_count(self, *, streams: int) -> int:
        return self.picture_threads or max(2 * streams, cpu_count())


def one_of(name: str, known: Collection[str]) -> str:
    """Raises ValueError for what is neither known nor `auto`."""
    if name not in (AUTO, *known):
        raise ValueError(f"must be one of {', '.join((AUTO, *known))}, got {name!r}")
    return name


__all__ = ["WorkerSettings", "cpu_count", "one_of"]
