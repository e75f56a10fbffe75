"""Commands that keep a local stack safe: backup, restore."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from maskmill.cli.address import local_home
from maskmill.cli.output import print_json, program, stdout
from maskmill.cli.stack import HomeOption
from maskmill.errors import StackError

ELSEWHERE = (
    "database or objects are elsewhere ({settings}): copy them with their own tools, the database first "
    "(docs/reliability.md)"
)


@dataclass(frozen=True, kw_only=True)
class BackupOptions(HomeOption):
    file: Annotated[Path, typer.Argument(help="The backup, a TAR file.", metavar="FILE", show_default=False)]


def backup(choices: BackupOptions) -> None:
    """Write database, objects and models of a local stack into one file; the stack may run meanwhile."""
    from maskmill.stack.backup import write_backup

    count = write_backup(_home(choices), choices.file.expanduser().absolute())
    if choices.as_json:
        print_json({"file": str(choices.file), "files": count, "bytes": choices.file.stat().st_size})
    else:
        stdout().print(f"{choices.file}: {count} files", soft_wrap=True)


def restore(choices: BackupOptions) -> None:
    """Make a local stack's folder from a backup; it must not have a database yet."""
    from maskmill.stack.backup import read_backup

    home = _home(choices)
    count = read_backup(choices.file.expanduser().absolute(), home)
    if choices.as_json:
        print_json({"home": str(home), "files": count})
    else:
        stdout().print(f"{home}: {count} files. Start it: {program()} up --home {home}", soft_wrap=True)


def _home(choices: BackupOptions) -> Path:
    """Raises StackError where the settings name other places than files at home."""
    from storage.settings import StorageSettings

    home = (choices.home or local_home()).expanduser().absolute()
    settings = StorageSettings(home=home)
    named = {
        "MASKMILL_STORAGE_DATABASE_URL": settings.database_url,
        "MASKMILL_STORAGE_OBJECTS_URL": settings.s3_bucket,
    }
    if elsewhere := [name for name, value in named.items() if value]:
        raise StackError(ELSEWHERE.format(settings=" and ".join(elsewhere)))
    return home
