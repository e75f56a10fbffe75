"""The registry of models in MLflow: bundles as numbered versions of a name, and aliases that say which one serves."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from segmentation.model_card import ModelCard
from storage.catalog import CARD, Bundle, file_sha256
from storage.model_reference import CARD_SHA256, ModelReference
from storage.registry.mlflow_registry import MlflowRegistry, NotInRegistry, RegistryUnavailable
from storage.registry.versions import Versions
from training.promote.errors import BrokenBundle, NotRegistered, RegistryError
from training.settings import TrainingSettings
from training.tracking.mlflow_client import (
    MLFLOW_FAILURES,
    Metric,
    MlflowClient,
    MlflowException,
    ModelVersion,
    connect,
    experiment_id,
)
from training.tracking.note import told, without_credentials
from training.tracking.results import speeds

BUNDLE = "bundle"  # how the folder of a bundle among the artifacts of its run begins
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@dataclass(frozen=True, slots=True)
class Registry:
    """uri: of an MLflow server, or `sqlite:///path`. experiment: for bundles that no tracked run made."""

    uri: str
    experiment: str = "maskmill"

    def register(self, bundle: Path, name: str, run_id: str | None = None) -> str:
        """Keep the bundle in this folder as a version of `name`; returns its number.

        The same card again gives the number that it has. run_id: of the MLflow run that made it; None makes one.
        Raises BrokenBundle, RegistryError.
        """
        card = _checked(bundle)
        digest = file_sha256(bundle / CARD)
        with _spoken(self.uri):
            client = connect(self.uri)
            _ensure_name(client, name)
            known = [each for each in self._versions(client, name) if each.tags.get(CARD_SHA256) == digest]
            if known:
                return str(known[0].version)
            run_id = run_id or self._run_for(client, name)
            place = f"{BUNDLE}-{digest[:16]}"  # a run that goes on makes more than one
            client.log_artifacts(run_id, str(bundle), place)
            now_ms = int(time.time() * 1000)
            found = speeds(card).items()
            client.log_batch(run_id, metrics=[Metric(name, value, now_ms, 0) for name, value in found])
            source = f"{client.get_run(run_id).info.artifact_uri}/{place}"
            return str(client.create_model_version(name, source, run_id, tags={CARD_SHA256: digest}).version)

    def promote(self, reference: ModelReference, alias: str) -> str | None:
        """Let the alias name this version. Returns the version that it named before, None when there was none.

        Raises NotRegistered, RegistryError.
        """
        version = self.version_of(reference)
        before = self._aliased(ModelReference(reference.name, alias=alias))
        with _spoken(self.uri):
            connect(self.uri).set_registered_model_alias(reference.name, alias, version)
        return before

    def version_of(self, reference: ModelReference) -> str:
        """Raises NotRegistered when there is no such name, alias or version; RegistryError."""
        if reference.version is None:
            found = self._aliased(reference)
        else:
            found = reference.version if reference.version in self.versions(reference.name) else None
        if found is None:
            there = ", ".join(f"{reference.name}/{each}" for each in self.versions(reference.name))
            raise NotRegistered(f"the registry has no {reference}; it has {there or 'no model of this name'}")
        return found

    def versions(self, name: str) -> Sequence[str]:
        """Newest first; none for a name that is not registered."""
        with _spoken(self.uri):
            return [str(each.version) for each in self._versions(connect(self.uri), name)]

    def download(self, name: str, version: str, folder: Path) -> None:
        """Write a version's files into `folder`, as workers do. Raises NotRegistered, RegistryError, ModelFailed."""
        with _read_by_workers():
            MlflowRegistry(self.uri).fetch(name, version, folder)

    def card_digest(self, name: str, version: str) -> str | None:
        """SHA-256 of the card that was registered. Raises NotRegistered, RegistryError."""
        with _read_by_workers():
            return MlflowRegistry(self.uri).card_digest(name, version)

    def _aliased(self, reference: ModelReference) -> str | None:
        alias = reference.alias or "champion"
        try:
            with _spoken(self.uri):
                return str(connect(self.uri).get_model_version_by_alias(reference.name, alias).version)
        except NotRegistered:
            return None

    def _versions(self, client: MlflowClient, name: str) -> Sequence[ModelVersion]:
        found = client.search_model_versions(f"name = '{name}'")
        return sorted(found, key=lambda each: -int(each.version))

    def _run_for(self, client: MlflowClient, name: str) -> str:
        """Artifacts belong to runs in MLflow: a bundle from elsewhere gets one of its own."""
        run = client.create_run(experiment_id(client, self.uri, self.experiment), run_name=f"bundle of {name}")
        client.set_terminated(run.info.run_id)
        return str(run.info.run_id)


def open_registry(settings: TrainingSettings) -> Registry:
    return Registry(settings.resolved_tracking_uri, settings.experiment)


def fetch_bundle(reference: str, folder: Path, *, registry: Registry | None = None) -> Path:
    """`models:/NAME@ALIAS` or `models:/NAME/VERSION` → the folder of that version's bundle under `folder`, verified.

    registry: None opens that of the settings. A version that is there already and is that registry's is not fetched
    again.
    Raises InvalidReference, NotRegistered, BrokenBundle, RegistryError, and ModelFailed for weights that the card does
    not describe.
    """
    wanted = ModelReference.parse(reference)
    registry = registry or open_registry(TrainingSettings())
    version = registry.version_of(wanted)
    digest = registry.card_digest(wanted.name, version)
    fetch = partial(registry.download, wanted.name, version)
    return Versions(folder).add(wanted.name, version, fetch, digest=digest).folder


@contextmanager
def _read_by_workers() -> Iterator[None]:
    """Says in our words what the registry that workers read raises."""
    try:
        yield
    except NotInRegistry as error:
        raise NotRegistered(str(error)) from error
    except RegistryUnavailable as error:
        raise RegistryError(str(error)) from error


@contextmanager
def _spoken(uri: str) -> Iterator[None]:
    """Says in our words what MLflow raises."""
    try:
        yield
    except MLFLOW_FAILURES as error:
        where, said = without_credentials(uri), told(error, uri)
        if isinstance(error, MlflowException) and error.error_code in _ABSENT:
            raise NotRegistered(f"the registry at {where} does not have it: {said}") from error
        raise RegistryError(f"the registry at {where} does not answer: {said}") from error


def _ensure_name(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _checked(folder: Path) -> ModelCard:
    if not (folder / CARD).is_file():
        raise BrokenBundle(f"{folder} is no bundle: it has no {CARD}")
    card = ModelCard.from_json((folder / CARD).read_bytes())
    Bundle(card, folder).verify()
    return card
