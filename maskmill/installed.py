"""What pip installed: the client alone, or the service around it; and what to type for what is missing."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SERVICE, CLIENT = "maskmill-server", "maskmill"


def our_version() -> str | None:
    """None when this runs from source that nobody installed."""
    for distribution in (SERVICE, CLIENT):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None


def service_is_here() -> bool:
    return importlib.util.find_spec("jobs") is not None


def dashboard_is_here() -> bool:
    """The page to look at masks, and the library that shows it."""
    return all(importlib.util.find_spec(name) is not None for name in ("dashboard", "streamlit"))


def called(name: str) -> str:
    """How a person calls `maskmill` or `pip` of this environment here: after `make demo` neither is on the PATH."""
    beside = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if not beside.is_file():
        return f"{sys.executable} -m {name}"
    if found is not None and Path(found).samefile(beside):
        return name
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)


def how_to_install(extra: str) -> str:
    """extra: of the service's pyproject.toml. With the client alone there is nothing that pip could add to it."""
    if service_is_here():
        return f"{called('pip')} install '{SERVICE}[{extra}]'"
    return f"it is part of the service: pip install -e '.[{extra}]' in a checkout of Maskmill"


def how_to_add(extra: str) -> str:
    """extra: of whichever distribution is installed, for what the client does by itself."""
    return f"{called('pip')} install '{SERVICE if service_is_here() else CLIENT}[{extra}]'"
