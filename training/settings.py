"""Where trainings are written down. Prefix `MASKMILL_TRAINING_`; read once, at the edge."""

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from storage.registry.mlflow_registry import local_tracking

NONE = "none"
DATABRICKS = "databricks"  # a name that MLflow knows


class TrainingSettings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="MASKMILL_TRAINING_",
        env_file=".env",
        extra="ignore",
        allow_inf_nan=False,
        frozen=True,
        populate_by_name=True,
    )

    home: Path = Field(default=Path(".maskmill"), validation_alias="MASKMILL_HOME")
    tracking_uri: str | None = None
    """http://host:port of an MLflow server or sqlite:///path; `none` tracks nothing; not set: mlflow.db at home."""
    experiment: str = Field(default="maskmill", min_length=1)
    """Under which name MLflow lists the runs."""
    runs: Path = Path("runs")
    """Where a trainer keeps its runs."""
    workers: int = Field(default=0, ge=0)
    """Processes in which a trainer prepares pictures."""
    busy_pause_s: float = Field(default=20.0, ge=0)
    """How long a trainer keeps a message back whose run is at work elsewhere."""

    @field_validator("tracking_uri")
    @classmethod
    def _leads_somewhere(cls, uri: str | None) -> str | None:
        if uri and uri not in (NONE, DATABRICKS) and ":" not in uri:
            raise ValueError(f"must look like http://host:port or sqlite:///path, or be {NONE!r}, not {uri!r}")
        return uri

    @property
    def tracks(self) -> bool:
        return self.tracking_uri != NONE

    @property
    def resolved_tracking_uri(self) -> str:
        """Where runs and models are kept; models also when runs are not tracked."""
        if self.tracking_uri and self.tracks:
            return self.tracking_uri
        return local_tracking(self.home)
