"""Pages that are made from the code each time the site is built. To add one: write its file, list it here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.site.reference import client, command_line, formats, http_api, metrics, recipes, settings

PAGES: dict[str, Callable[[], str]] = {
    "http-api": http_api.page,
    "command-line": command_line.page,
    "python-client": client.page,
    "settings": settings.page,
    "metrics": metrics.page,
    "recipes": recipes.page,
    "formats": formats.page,
}


def write_reference(folder: Path) -> None:
    """A page that has not changed is not written, so that Sphinx need not read it again."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        text = page()
        path = folder / f"{name}.md"
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")
