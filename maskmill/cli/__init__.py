"""The command line. `main` is the entry point; each command loads what it needs when it runs."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Ctrl-C while the command is still being imported ends it as it does later."""
    try:
        _run()
    except KeyboardInterrupt:
        from maskmill.cli.exits import INTERRUPTED

        raise SystemExit(INTERRUPTED) from None


def _run() -> None:
    try:
        from maskmill.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print(f"The command line needs {error.name}: pip install {error.name}", file=sys.stderr)
        raise SystemExit(2) from None
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does: names may hold what cannot be written there
    app()
