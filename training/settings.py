"""Where trainings are written down. Prefix `MASKMILL_TRAINING_`; read once, at the edge."""

from pathlib import Path
from urllib.parse import quote

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class TrainingSettings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="MASKMILL_TRAINING_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    home: Path = Field(default=Path(".maskmill"), validation_alias="MASKMILL_HOME")
    tracking_uri: str | None = None
    """http://host:port of an MLflow server, sqlite:///path, or `none`; not set: mlflow.db in the home folder."""
    experiment: str = Field(default="maskmill", min_length=1)
    """Under which name MLflow lists the runs."""

    @property
    def resolved_tracking_uri(self) -> str:
        if self.tracking_uri:
            return self.tracking_uri
        return f"sqlite:///{quote(str(self.home.expanduser().absolute() / 'mlflow.db'))}"
