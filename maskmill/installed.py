"""What pip installed: the client alone, or the service around it; and what to type for what is missing."""

from __future__ import annotations

import importlib.util
from importlib.metadata import PackageNotFoundError, version

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


def how_to_install(extra: str) -> str:
    """extra: of the service's pyproject.toml. With the client alone there is nothing that pip could add to it."""
    if service_is_here():
        return f"pip install '{SERVICE}[{extra}]'"
    return f"it is part of the service: pip install -e '.[{extra}]' in a checkout of Maskmill"
