"""How processes tell of themselves. Prefixes `MASKMILL_LOG_` and `MASKMILL_OTEL_`; the same for all of them."""

from __future__ import annotations

from typing import Literal

from pydantic import AnyHttpUrl, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


class LogSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MASKMILL_LOG_", env_file=".env", extra="ignore", frozen=True)

    format: LogFormat = "text"
    level: LogLevel = "info"


class TraceSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="MASKMILL_OTEL_", env_file=".env", extra="ignore", frozen=True)

    endpoint: AnyHttpUrl | None = Field(None, description="http://host:4318 of an OTLP receiver; None: no traces")
    service: str = "maskmill"
    share: float = Field(1.0, ge=0, le=1, description="of the traces that begin here, how many are kept")
