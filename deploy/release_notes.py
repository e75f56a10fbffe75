"""Release notes from the changelog: `python deploy/release_notes.py [VERSION]`; none: what is not released yet."""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parents[1] / "CHANGELOG.md"
UNRELEASED = "Unreleased"


def notes(changelog: str, version: str = UNRELEASED) -> str:
    """The section of a version, without its heading. Raises LookupError, which names the versions there are."""
    sections = re.split(r"^## \[?", changelog, flags=re.MULTILINE)[1:]
    by_version = {re.split(r"[\]\s]", each, maxsplit=1)[0]: each.partition("\n")[2].strip() for each in sections}
    if version not in by_version:
        raise LookupError(f"the changelog has no {version}; it has {', '.join(by_version)}")
    return by_version[version] + "\n"


if __name__ == "__main__":
    try:
        sys.stdout.write(notes(CHANGELOG.read_text("utf-8"), *sys.argv[1:2]))
    except LookupError as error:
        sys.exit(str(error))
