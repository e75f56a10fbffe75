"""`python -m docs.site [FOLDER]`: build the site there (else build/site), and end at a warning or a dead link."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from docs.site.links import check

ROOT = Path(__file__).resolve().parents[2]


def main(folder: Path) -> int:
    strict = ["-q", "-W", "--keep-going"]
    status = build_main(
        [*strict, "-c", str(ROOT / "docs" / "site"), "-d", str(folder / ".read"), str(ROOT / "docs"), str(folder)]
    )
    found = check(folder)
    links = f"{found.inward} links inside it, {len(found.outward)} to elsewhere, {len(found.dead)} dead"
    print(f"{found.pages} pages in {folder}, {links}")
    print(*found.dead, sep="\n", end="\n" if found.dead else "")
    return status or bool(found.dead)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/site")))
