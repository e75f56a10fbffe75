"""What is looked at before a local stack starts: later each picture, or a traceback, would say it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from maskmill.errors import StackError
from maskmill.installed import how_to_install
from maskmill.stack.explained import settings_explained, storage_settings

if TYPE_CHECKING:
    from worker.settings import WorkerSettings

LEAST_FREE = 32e6  # bytes: the database, the broker's file and the logs of a start
PACKAGES = ("dashboard", "api", "worker", "storage", "broker", "telemetry", "jobs", "segmentation")


def check_engine(name: str) -> None:
    """Before anything starts: later each picture would say it."""
    from worker.engines import ENGINES, runtime_of

    missing = runtime_of(name).missing("cpu") if name in ENGINES else None
    if missing is not None:
        raise StackError(f"--engine {name}: {missing}: {how_to_install('worker')}")


def check_models(engine: str | None, home: Path) -> None:
    """A worker that can run no model refuses to start. engine: None for the worker's own setting."""
    from jobs.errors import ModelFailed
    from worker.engines import find_device, has_gpu
    from worker.settings import WorkerSettings

    with settings_explained():
        settings = WorkerSettings() if engine is None else WorkerSettings(engine=engine)
    if settings.follow:
        return  # what comes from a registry may be what runs
    try:
        if has_gpu() or find_device(settings.device) != "cpu":
            _look_apart(settings.engine, home)
        else:
            _look_at_models(settings, home)
    except ModelFailed as error:
        raise StackError(str(error)) from None


def _look_apart(engine: str, home: Path) -> None:
    """Whoever has asked a GPU holds some of its memory until its end, and this process stays. Not by multiprocessing,
    which would run the caller's own script once more. Raises StackError."""
    command = [sys.executable, "-m", __name__, engine, str(home)]
    looked = subprocess.run(command, capture_output=True, text=True, check=False)
    if looked.returncode:
        raise StackError(looked.stderr.strip().rpartition("\n")[2] or f"{shlex.join(command)} failed")


def _look_at_models(settings: WorkerSettings, home: Path) -> None:
    """Raises ModelFailed when none can be run."""
    from storage.catalog import open_catalog
    from worker.engines import find_device, unfit

    bundles = open_catalog(storage_settings(home)).bundles()
    wishes = {"engine": settings.engine, "precision": settings.precision}
    unfit(bundles, find_device(settings.device, bundles, **wishes), **wishes)


def check_default_model(home: Path) -> None:
    """Else the first job that names no model would say it. Raises StackError."""
    fault = default_model_fault(home)
    if fault is not None:
        raise StackError(fault)


def default_model_fault(home: Path | None) -> str | None:
    """What is wrong with the model that the settings name for jobs that name none. home: as in `storage_settings`.
    Raises StackError for settings that cannot be used."""
    from api.settings import ApiSettings
    from jobs.errors import ModelNotFound
    from storage.catalog import open_catalog
    from worker.settings import WorkerSettings

    with settings_explained():
        name, follows = ApiSettings().default_model, WorkerSettings().follow
    if not name or follows:  # what comes from a registry may be it
        return None
    try:
        open_catalog(storage_settings(home)).get(name)
    except ModelNotFound as error:
        return f"MASKMILL_API_DEFAULT_MODEL: {error}"
    return None


def check_settings(*, page: bool) -> None:
    """Those that this process does not read itself. page: whether that is to be started. Raises StackError: else a
    part's traceback would tell, or its log alone."""
    kinds = [("telemetry.settings", "LogSettings"), ("telemetry.settings", "TraceSettings")]
    kinds += [("dashboard.settings", "DashboardSettings")] if page else []
    with settings_explained():
        for module, kind in kinds:
            getattr(importlib.import_module(module), kind)()


def check_folder(folder: Path) -> None:
    """Python looks for packages in the working folder first: one of ours must not be hidden by one of theirs."""
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        ours = None if spec is None or not spec.submodule_search_locations else list(spec.submodule_search_locations)
        here = folder / name
        if ours is not None and here.is_dir() and not any(Path(path).resolve() == here.resolve() for path in ours):
            raise StackError(f"the folder {here} would hide Maskmill's own package {name!r}: start it elsewhere")


def check_space(folder: Path) -> None:
    """On a full disk no part becomes ready, and none says why."""
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise StackError(f"only {free / 1e6:.0f} MB are free in {folder}: free some space on this disk")


def check_mlflow() -> None:
    """mlflow-skinny has the same name to import, and no pages."""
    try:
        importlib.metadata.version("mlflow")
    except importlib.metadata.PackageNotFoundError:
        raise StackError(f"MLflow's pages need the whole package: {how_to_install('mlflow')}") from None


def _main(engine: str, home: str) -> None:
    """In a process of its own, see `_look_apart`. Raises SystemExit with what is wrong."""
    from jobs.errors import ModelFailed
    from worker.settings import WorkerSettings

    try:
        _look_at_models(WorkerSettings(engine=engine), Path(home))
    except ModelFailed as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    _main(*sys.argv[1:])
