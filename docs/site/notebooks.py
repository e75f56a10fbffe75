"""Notebooks as pages of the site: their text and their code, without what they print. Written at each build."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path


def write_notebooks(folder: Path) -> None:
    """A page beside each notebook; one that has not changed is not written, so that Sphinx need not read it again."""
    for path in sorted(folder.glob("*.ipynb")):
        text, page = "\n\n".join(_parts(path)) + "\n", path.with_suffix(".md")
        if not page.is_file() or page.read_text("utf-8") != text:
            page.write_text(text, encoding="utf-8")


def _parts(path: Path) -> Iterator[str]:
    told = f"As a notebook, which runs from top to bottom: [{path.name}]({path.name})."
    for number, cell in enumerate(json.loads(path.read_text("utf-8"))["cells"]):
        source = "".join(cell["source"])
        yield source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"
        if number == 0:
            yield told
