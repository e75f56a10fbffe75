"""The registry of models in MLflow, as far as it is read: which version an alias names, and its files. Workers follow
it, training fetches from it; mlflow is imported when it is first asked something, by nobody else in this package."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jobs.errors import ModelFailed
from storage.catalog import CARD
from storage.model_reference import CARD_SHA256, ModelReference

# Read by mlflow itself. Whoever set them already knows better.
_MANNERS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # which may be JSON
}
# They tell every migration of a new file, and that a version is being made.
_TALKERS = ("alembic", "mlflow.store.db.utils", "mlflow.store.model_registry.abstract_store")
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
SQLITE = "sqlite:///"


class RegistryUnavailable(Exception):
    """It does not answer, or not in a way that is understood."""

    code = "registry_unavailable"


class NotInRegistry(Exception):
    """It answers that there is no such name, alias or version."""

    code = "not_in_registry"


def set_manners() -> None:
    """Give up within seconds and be quiet: to be called before mlflow is imported."""
    for name, value in _MANNERS.items():
        os.environ.setdefault(name, value)
    for name in _TALKERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def local_tracking(home: Path) -> str:
    """Where runs and models are kept when nobody says where."""
    return sqlite_uri(home.expanduser().absolute() / "mlflow.db")


def sqlite_uri(path: Path) -> str:
    """With as little quoted as can be: MLflow makes the folder of the address as it is written, quoted or not."""
    return SQLITE + re.sub("[%?#]", lambda found: f"%{ord(found[0]):02X}", str(path))


def sqlite_file(uri: str) -> Path:
    return Path(unquote(uri.removeprefix(SQLITE)))


class MlflowRegistry:
    """uri: `http://host:port` or `sqlite:///path`. Imports mlflow when it is first asked something."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client: Any = None

    def version_of(self, reference: ModelReference) -> str:
        """Raises NotInRegistry, RegistryUnavailable."""
        if reference.version is not None:
            return reference.version
        with self._speaking(reference) as client:
            return str(client.get_model_version_by_alias(reference.name, reference.alias).version)

    def card_digest(self, name: str, version: str) -> str | None:
        """SHA-256 of the card that was registered; None where nobody wrote it down. Raises NotInRegistry,
        RegistryUnavailable."""
        with self._speaking(ModelReference(name, version=version)) as client:
            digest: str | None = client.get_model_version(name, version).tags.get(CARD_SHA256)
            return digest

    def fetch(self, name: str, version: str, folder: Path) -> None:
        """Write the files of a version into `folder`. Raises NotInRegistry, RegistryUnavailable, and ModelFailed when
        the card is not the one that was registered."""
        with self._speaking(ModelReference(name, version=version)) as client:
            from mlflow.artifacts import download_artifacts

            found = client.get_model_version(name, version)
            got = Path(download_artifacts(artifact_uri=found.source, dst_path=str(folder), tracking_uri=self._uri))
            digest = found.tags.get(CARD_SHA256)
        if got != folder:
            for path in list(got.iterdir()):
                shutil.move(path, folder / path.name)
            got.rmdir()
        if not (folder / CARD).is_file() or hashlib.sha256((folder / CARD).read_bytes()).hexdigest() != digest:
            raise ModelFailed(f"the card of {name}/{version} is missing or not the one that was registered")

    @contextmanager
    def _speaking(self, reference: ModelReference) -> Iterator[Any]:
        set_manners()
        try:
            from mlflow.exceptions import MlflowException
        except ModuleNotFoundError as error:
            raise RegistryUnavailable(
                "following a model needs MLflow: pip install 'maskmill-server[registry]'"
            ) from error
        try:
            yield self._opened()
        except (MlflowException, OSError, ValueError) as error:  # the last: of an answer that is no JSON
            if getattr(error, "error_code", None) in _ABSENT:
                raise NotInRegistry(f"the registry has no {reference}") from error
            raise RegistryUnavailable(f"the registry does not answer ({type(error).__name__})") from error

    def _opened(self) -> Any:
        """A file that is not there is not made: an empty registry would only hide a wrong address."""
        if self._uri.startswith(SQLITE) and not sqlite_file(self._uri).is_file():
            raise RegistryUnavailable(f"there is no registry at {self._uri}")
        if self._client is None:
            from mlflow.tracking import MlflowClient

            self._client = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
        return self._client
