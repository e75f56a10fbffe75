"""Maskmill from Python: `from maskmill import Maskmill`. Importing it costs httpx, and only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskmill.aio import AsyncJob, AsyncMaskmill
    from maskmill.client import Maskmill
    from maskmill.errors import APIError, MaskmillError
    from maskmill.films.filming import FilmFile
    from maskmill.handle import JobHandle
    from maskmill.image import Image

__all__ = ["APIError", "AsyncJob", "AsyncMaskmill", "FilmFile", "Image", "JobHandle", "Maskmill", "MaskmillError"]

_HOMES = {
    "APIError": "maskmill.errors",
    "AsyncJob": "maskmill.aio",
    "AsyncMaskmill": "maskmill.aio",
    "FilmFile": "maskmill.films.filming",
    "Image": "maskmill.image",
    "JobHandle": "maskmill.handle",
    "Maskmill": "maskmill.client",
    "MaskmillError": "maskmill.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
