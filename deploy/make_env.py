"""Write a .env from .env.example: every value `<random>` becomes a secret of its own. Standard library only."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path


def filled(example: str) -> str:
    lines = []
    for line in example.splitlines():
        name, separator, value = line.partition("=")
        fresh = separator and not line.startswith("#") and value.strip() == "<random>"
        lines.append(f"{name}={secrets.token_hex(20)}" if fresh else line)
    return "\n".join(lines) + "\n"


def main(example: str, target: str) -> None:
    """Never replaces a file: its secrets may be in use. Only its owner can read what is written."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as output:
        output.write(filled(Path(example).read_text(encoding="utf-8")))
    print(f"wrote {target} with fresh secrets")


if __name__ == "__main__":
    main(*sys.argv[1:3])
