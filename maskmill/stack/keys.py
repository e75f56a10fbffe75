"""The database of keys on this machine, for whoever runs the service. Needs the service's own packages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from maskmill.errors import StackError
from maskmill.stack.backup import DATABASE

if TYPE_CHECKING:
    from jobs.tenants.keyring import Keyring
    from storage.settings import StorageSettings

REFUSAL = (
    "there is no key yet, and whoever reaches {host} could do everything; make one first: "
    "maskmill keys create --tenant NAME --scope admin (or, where something in front decides who may call, "
    "set MASKMILL_API_TRUST_NETWORK=true)"
)


@contextmanager
def open_keyring(home: Path | None) -> Iterator[Keyring]:
    """Of the database that the settings name, else of the one at home, which is made when it is not there.

    Raises StackError for tables of another version, DatabaseUnavailable.
    """
    from jobs.tenants.keyring import Keyring
    from maskmill.stack.explained import storage_settings
    from storage.unit_of_work import open_database

    settings = storage_settings(home)
    _prepare(settings)
    database = open_database(settings)
    try:
        yield Keyring(database.unit)
    finally:
        database.close()


def newly_made(home: Path | None) -> Path | None:
    """The file of a database that the next key would make; None where one is there, or the settings name another."""
    from maskmill.stack.explained import storage_settings

    settings = storage_settings(home)
    file = settings.home / DATABASE
    return None if settings.database_url is not None or file.exists() else file


def need_a_key(host: str) -> None:
    """Before the local stack listens on an address that others reach. Raises StackError, DatabaseUnavailable."""
    from api.edge.addresses import is_loopback
    from api.settings import ApiSettings

    if is_loopback(host) or ApiSettings().trust_network:
        return
    from storage.settings import StorageSettings
    from storage.unit_of_work import open_database

    database = open_database(StorageSettings())
    try:
        if not database.has_keys():
            raise StackError(REFUSAL.format(host=host))
    finally:
        database.close()


def _prepare(settings: StorageSettings) -> None:
    """A database of its own is brought to this version, as `maskmill up` does; one that others use is theirs."""
    from storage.migrate import current, newest, upgrade, where

    if settings.database_url is None:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        upgrade(settings)
        return
    found = current(settings)
    if found is None:
        upgrade(settings)
    elif found != newest():
        what = f"{where(settings)} has tables of revision {found}, and this version of Maskmill needs {newest()}"
        raise StackError(f"{what}: run `python -m storage.migrate`")
