"""Where the broker is and how patient we are with it. Prefix `MASKMILL_BROKER_`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

NO_BROKER = "redis://127.0.0.1:6379/0"
SCHEMES = ("redis", "rediss")  # which Celery and what wakes processes up both know


def _known(url: str | None) -> str | None:
    try:
        if not url or (urlsplit(url).port != 0 and url.partition("://")[0] in SCHEMES):
            return url
    except ValueError:  # a port, or brackets, that are none
        pass
    raise ValueError("must look like redis://:password@host:6379/0 or rediss://:password@host:6379/0")


Home = Annotated[Path, AfterValidator(Path.expanduser), Field(validation_alias="MASKMILL_HOME")]


class BrokerSettings(BaseSettings):
    """Read once, at the edge."""

    model_config = SettingsConfigDict(
        env_prefix="MASKMILL_BROKER_",
        env_file=".env",
        extra="ignore",
        allow_inf_nan=False,
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    home: Home = Path(".maskmill")
    url: Annotated[str | None, AfterValidator(_known)] = None
    """redis:// or rediss://, with the password. Without one: what the local stack wrote into run/broker.json."""
    visibility_timeout_s: int = Field(default=120, gt=0)
    """A message that was fetched and never acknowledged is delivered again after this time."""
    restore_interval_s: int = Field(default=5, gt=0)
    """How often workers look for such messages."""
    socket_timeout_s: float = Field(default=10.0, gt=0)
    """A worker takes a connection for dead that does not answer for this long."""
    publish_timeout_s: float = Field(default=2.0, gt=0)
    """The same for the side that sends; one dispatch takes at most about twice this time."""
    health_check_interval_s: int = Field(default=10, gt=0)
    upkeep_interval_s: float = Field(default=5.0, gt=0)
    shutdown_timeout_s: float = Field(default=20.0, ge=0)
    """How long a worker that is asked to stop at once may still finish what runs."""

    def broker_url(self) -> str:
        """The URL in force. Falls back to Redis's usual port when neither setting nor local stack names one."""
        return self.url or _local_url(self.home) or NO_BROKER


def _local_url(home: Path) -> str | None:
    """What the local stack wrote when it started its own broker; None when it is not running."""
    try:
        found = json.loads((home / "run" / "broker.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return str(found["url"]) if isinstance(found, dict) and found.get("url") else None
