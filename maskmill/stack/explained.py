"""Settings of the service as its command line reads them: what cannot be used is said in a sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from maskmill.errors import StackError

if TYPE_CHECKING:
    from storage.settings import StorageSettings


@contextlib.contextmanager
def settings_explained() -> Iterator[None]:
    """A setting that cannot be used is the user's to mend: a StackError with its name instead of a traceback."""
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise StackError(f"{error.title} cannot be used: {'; '.join(faults)}") from None


def storage_settings(home: Path | None) -> StorageSettings:
    """home: None takes what the environment says. Raises StackError for what cannot be used."""
    from storage.settings import StorageSettings

    with settings_explained():
        return StorageSettings() if home is None else StorageSettings(home=home)
