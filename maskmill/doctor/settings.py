"""Whether the settings of the service can be read: what one of its processes would refuse, the others may not know."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from maskmill.doctor.findings import Finding, State
from maskmill.doctor.installed import is_client_alone
from maskmill.errors import StackError
from maskmill.stack.backup import DATABASE
from maskmill.stack.checks import default_model_fault
from maskmill.stack.explained import settings_explained, storage_settings

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

GROUP = "Settings"
PREFIX = "MASKMILL_"
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
# What else reads the environment: the client, and docker-compose.yml, whose `.env` lies where this looks.
OF_NOBODY_HERE = (
    *("MASKMILL_API_KEY", "MASKMILL_SERVER", "MASKMILL_WEBHOOK_SECRET", "MASKMILL_UPSTREAM"),
    *("MASKMILL_PORT", "MASKMILL_TLS_NAME", "MASKMILL_TLS_ADDRESS", "MASKMILL_TLS_PORT"),
    *("MASKMILL_WORKER_MEMORY", "MASKMILL_SERVICE_MEMORY", "MASKMILL_METRICS_BEARER", "MASKMILL_DASHBOARD_BEARER"),
)
# What the command line reads itself, beside the settings.
IN_CAPITALS = (
    *("MASKMILL_HOME", "MASKMILL_API_HOST", "MASKMILL_API_PORT", "MASKMILL_DASHBOARD_PORT"),
    *("MASKMILL_SERVER", "MASKMILL_API_KEY"),
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
    yield from _misspelt()
    yield from _default_model(home)
    yield from _database(home)


def _misspelt() -> Iterator[Finding]:
    """Variables that nothing reads: whoever set one believes that it does something."""
    from dotenv import dotenv_values

    settings = frozenset(_variables())
    known = {*OF_NOBODY_HERE, *settings}
    for name in sorted({*os.environ, *dotenv_values(".env")}):
        in_capitals = name.upper()
        if not in_capitals.startswith(PREFIX) or in_capitals.endswith("_IMAGE") or name in known:
            continue
        if in_capitals not in settings:
            near = difflib.get_close_matches(in_capitals, known, n=1)
            said, mend = f"{name}: nothing reads it", f"is {near[0]} meant?" if near else "see docs/configuration.md"
        elif in_capitals in IN_CAPITALS:
            said, mend = f"{name}: the command line does not read it", f"write {in_capitals}"
        else:
            continue  # settings are read in any case of letters
        yield Finding(group=GROUP, name="unknown setting", state="absent", said=said, mend=mend)


def _variables() -> Iterator[str]:
    """The environment variables of every setting."""
    for _, module, kind in KINDS:
        settings: type[BaseSettings] = getattr(importlib.import_module(module), kind)
        prefix = settings.model_config.get("env_prefix", "")
        for name, field in settings.model_fields.items():
            alias = field.validation_alias
            choices = [alias] if isinstance(alias, str) else getattr(alias, "choices", [])
            yield from (each for each in choices if isinstance(each, str) and each.startswith(PREFIX))
            if alias is None:
                yield f"{prefix}{name}".upper()


def _default_model(home: Path) -> Iterator[Finding]:
    with contextlib.suppress(StackError):  # it was told above
        if (said := default_model_fault(home)) is not None:
            mend = "name one of them, or leave the setting out"
            yield Finding(group=GROUP, name="default model", state="bad", said=said, mend=mend)


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
