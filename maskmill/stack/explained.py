"""Settings of the service as its command line reads them: what cannot be used is said in a sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from maskmill.errors import StackError

if TYPE_CHECKING:
    from storage.settings import StorageSettings


@contextlib.contextmanager
def settings_explained() -> Iterator[None]:
    """A setting that cannot be used is the user's to mend: a StackError with its name instead of a traceback."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    try:
        yield
    except SettingsError as error:  # of those that are lists and objects
        raise StackError(f'{error}: it is no JSON, as ["one", "two"] or {{"name": {{}}}} are') from None
    except ValidationError as error:
        faults = (": ".join(filter(None, (_place(fault["loc"]), fault["msg"]))) for fault in error.errors())
        raise StackError(f"{error.title} cannot be used: {'; '.join(faults)}") from None


def _place(parts: Iterable[object]) -> str:
    """Empty where it is all of them together."""
    return ".".join(map(str, parts))


def storage_settings(home: Path | None) -> StorageSettings:
    """home: None takes what the environment says. Raises StackError for what cannot be used."""
    from storage.settings import StorageSettings

    with settings_explained():
        return StorageSettings() if home is None else StorageSettings(home=home)
