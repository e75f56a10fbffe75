"""Where the page listens, and which service it shows. Read once, when its process starts."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DashboardSettings(BaseSettings):
    """The page acts for everybody who reaches it, with its own key: it listens on this machine alone unless told."""

    model_config = SettingsConfigDict(
        env_prefix="MASKMILL_DASHBOARD_", env_file=".env", extra="ignore", allow_inf_nan=False, populate_by_name=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8009, ge=0, le=65535)
    allowed_hosts: list[str] = ["localhost", "127.0.0.1", "[::1]"]  # names under which browsers may ask for pictures
    upload_mib: int = Field(default=1024, ge=1)  # of one file; uploads of a page are held in memory until they are sent
    server: str = Field(default="http://127.0.0.1:8008", validation_alias="MASKMILL_SERVER")
    api_key: SecretStr | None = Field(default=None, validation_alias="MASKMILL_API_KEY")
    home: Path = Field(default=Path(".maskmill"), validation_alias="MASKMILL_HOME")
    tracking_uri: str | None = Field(
        default=None,
        validation_alias=AliasChoices(
            "tracking_uri",
            "MASKMILL_DASHBOARD_TRACKING_URI",
            "MASKMILL_TRAINING_TRACKING_URI",
            "MLFLOW_TRACKING_URI",
        ),
    )

    @property
    def resolved_tracking_uri(self) -> str:
        """Where MLflow keeps training runs; `none`: nowhere. Not set: where `maskmill train` keeps them."""
        return self.tracking_uri or f"sqlite:///{quote(str(self.home.expanduser().absolute() / 'mlflow.db'))}"
