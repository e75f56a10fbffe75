"""Which server a command talks to: --server, MASKMILL_SERVER, the local stack of this folder, the usual address."""

from __future__ import annotations

import json
import os
from pathlib import Path

from maskmill.cli.options import ServerOptions
from maskmill.client import DEFAULT_SERVER, Maskmill

PATIENCE_S = 3.0  # a person waits: an absent server is reported soon


def connect(options: ServerOptions) -> Maskmill:
    return Maskmill(options.server or local_server() or DEFAULT_SERVER, patience=PATIENCE_S)


def local_home() -> Path:
    return Path(os.environ.get("MASKMILL_HOME", ".maskmill"))


def local_server() -> str | None:
    """What the local stack wrote when it became ready; None when there is none, or none any more."""
    try:
        noted = json.loads((local_home() / "run" / "up.json").read_text())
        os.kill(noted["pid"], 0)  # asks whether it lives
        return str(noted["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
