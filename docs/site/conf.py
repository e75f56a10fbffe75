"""What Sphinx is told: pages in Markdown, one theme in light and dark, and every link checked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # Sphinx runs this file from its own folder

from docs.site.notebooks import write_notebooks  # noqa: E402
from docs.site.outward import keep_links_that_leave  # noqa: E402
from docs.site.reference import write_reference  # noqa: E402

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Maskmill"
author = "the authors of Maskmill"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["site", "images/*.py"]
root_doc = "index"
nitpicky = True  # a reference that leads nowhere is a warning, and `make docs` ends at a warning

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

html_theme = "furo"
html_title = "Maskmill"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5d66", "color-brand-content": "#0b5d66"},
    "dark_css_variables": {"color-brand-primary": "#6fc7d1", "color-brand-content": "#6fc7d1"},
}
html_copy_source = False
html_show_sphinx = False
templates_path: list[str] = []
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"


def _write(app: Sphinx) -> None:
    write_reference(Path(app.srcdir) / "reference")
    write_notebooks(Path(app.srcdir) / "notebooks")


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", _write)
    app.connect("doctree-read", keep_links_that_leave)
