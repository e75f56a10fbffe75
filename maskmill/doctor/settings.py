"""Whether the settings of the service can be read: what one of its processes would refuse, the others may not know."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from maskmill.doctor.findings import Finding, State
from maskmill.doctor.installed import is_client_alone
from maskmill.errors import StackError
from maskmill.stack.backup import DATABASE
from maskmill.stack.explained import settings_explained, storage_settings

GROUP = "Settings"
KINDS = (
    ("API settings", "api.settings", "ApiSettings"),
    ("storage settings", "storage.settings", "StorageSettings"),
    ("worker settings", "worker.settings", "WorkerSettings"),
    ("broker settings", "broker.settings", "BrokerSettings"),
    ("log settings", "telemetry.settings", "LogSettings"),
    ("trace settings", "telemetry.settings", "TraceSettings"),
    ("page settings", "dashboard.settings", "DashboardSettings"),
    ("training settings", "training.settings", "TrainingSettings"),
)
NO_PART = ("training settings",)  # of processes that `maskmill up` does not start


def examine_settings(home: Path) -> Iterator[Finding]:
    """As the environment and `.env` have them, and whether the database is one of this version."""
    if is_client_alone() or importlib.util.find_spec("pydantic_settings") is None:
        return
    for name, module, kind in KINDS:
        try:
            with settings_explained():
                getattr(importlib.import_module(module), kind)()
        except StackError as error:
            state: State = "absent" if name in NO_PART else "bad"
            yield Finding(group=GROUP, name=name, state=state, said=str(error), mend="see docs/configuration.md")
        else:
            yield Finding(group=GROUP, name=name, said="can be used")
    yield from _database(home)


def _database(home: Path) -> Iterator[Finding]:
    """Of one that is there, or that the settings name: looking for it makes none."""
    try:
        settings = storage_settings(home)
        if importlib.util.find_spec("alembic") is None or not (settings.database_url or is_there(settings.home)):
            return
    except StackError:
        return  # it was told above
    from jobs.errors import DatabaseUnavailable
    from storage.migrate import DatabaseUnfit, current, newest, where

    try:
        found = current(settings)
    except (DatabaseUnavailable, DatabaseUnfit) as error:
        said = str(error) if isinstance(error, DatabaseUnfit) else f"{where(settings)}: {error}"
        yield Finding(group=GROUP, name="database", state="bad", said=said, mend="see docs/how-to/upgrade.md")
        return
    told = "is brought up when it starts" if found != newest() else "as this version has it"
    yield Finding(group=GROUP, name="database", said=f"{where(settings)}, revision {found}: {told}")


def is_there(home: Path) -> bool:
    return (home / DATABASE).is_file()
