"""Links of a page to what is no page: files and folders of the repository beside docs/.

Readers of the repository follow them; on the site, which has no repository beside it, they are named by their path.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.addnodes import download_reference, pending_xref

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def keep_links_that_leave(app: Sphinx, tree: nodes.document) -> None:
    """Where such a link leads somewhere its text stays, with the path after it; where it does not, Sphinx warns."""
    source = Path(app.srcdir).resolve()
    page = (source / app.env.docname).parent
    for link in [*tree.findall(download_reference), *tree.findall(pending_xref)]:
        target = (page / str(link.get("reftarget", "")).partition("#")[0]).resolve()
        if target.exists() and not target.is_relative_to(source):
            path = target.relative_to(source.parent).as_posix()
            link.replace_self(_named(link.children, path))


def _named(text: list[nodes.Node], path: str) -> list[nodes.Node]:
    shown = "".join(each.astext() for each in text)
    if shown in (path, Path(path).name):
        return [nodes.literal(path, path)]
    return [*text, nodes.Text(" ("), nodes.literal(path, path), nodes.Text(")")]
