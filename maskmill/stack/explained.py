"""Settings of the service as its command line reads them: what cannot be used is said in a sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskmill.errors import StackError

if TYPE_CHECKING:
    from storage.settings import StorageSettings


@contextlib.contextmanager
def settings_explained() -> Iterator[None]:
    """A setting that cannot be used is the user's to mend: a StackError with its name instead of a traceback."""
    try:
        yield
    except Exception as error:
        refused = refusal_of(error)
        if refused is None:
            raise
        raise refused from None


def refusal_of(error: Exception) -> StackError | None:
    """What is said of a setting that cannot be used; None for any other error. A client has no pydantic to ask."""
    kind, package = type(error).__name__, type(error).__module__.partition(".")[0]
    if (package, kind) == ("pydantic_settings", "SettingsError"):  # of those that are lists and objects
        return StackError(f'{error}: it is no JSON, as ["one", "two"] or {{"name": {{}}}} are')
    title = str(getattr(error, "title", ""))
    if (package, kind) != ("pydantic_core", "ValidationError") or not title.endswith("Settings"):
        return None
    found: Any = error
    faults = (": ".join(filter(None, (_place(fault["loc"]), fault["msg"]))) for fault in found.errors())
    return StackError(f"{title} cannot be used: {'; '.join(faults)}")


def _place(parts: Iterable[object]) -> str:
    """Empty where it is all of them together."""
    return ".".join(map(str, parts))


def storage_settings(home: Path | None) -> StorageSettings:
    """home: None takes what the environment says. Raises StackError for what cannot be used."""
    from storage.settings import StorageSettings

    with settings_explained():
        return StorageSettings() if home is None else StorageSettings(home=home)
