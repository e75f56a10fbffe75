"""Which server a command talks to: --server, MASKMILL_SERVER, the local stack of this folder, the usual address; and
where the page of a local stack is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from maskmill.cli.options import ServerOptions
from maskmill.client import DEFAULT_SERVER, Maskmill

PATIENCE_S = 3.0  # a person waits: an absent server is reported soon


def connect(options: ServerOptions) -> Maskmill:
    return Maskmill(options.server or local_server() or DEFAULT_SERVER, patience=PATIENCE_S)


def local_home() -> Path:
    return Path(os.environ.get("MASKMILL_HOME", ".maskmill"))


def local_server() -> str | None:
    """None when there is none, or none any more."""
    noted = _noted()
    return None if noted is None else str(noted["url"])


def page_of_job(job_id: str, server: str) -> str | None:
    """Of the page that the local stack shows beside its API; None for other servers, and where no page is installed."""
    noted = _noted()
    if noted is None or noted["url"] != server or not noted.get("dashboard"):
        return None
    return f"{noted['dashboard']}/?job={job_id}"


def _noted() -> dict[str, Any] | None:
    """What the local stack wrote when it became ready, while it lives."""
    try:
        noted: dict[str, Any] = json.loads((local_home() / "run" / "up.json").read_text())
        os.kill(noted["pid"], 0)  # asks whether it lives
        return noted if noted["url"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
