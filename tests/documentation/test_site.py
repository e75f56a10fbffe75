"""The website of docs/ is built as `make docs` does it: without a warning, and without a dead link."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from docs.site.links import check
from tests.architecture.source_files import ROOT


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_site_is_built_without_a_warning_or_a_dead_link(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "docs.site", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    assert ", 0 dead" in built.stdout
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert [str(page) for page in sorted(pages) if not (tmp_path / page).is_file()] == []
    assert (tmp_path / "searchindex.js").is_file()
    home = (tmp_path / "index.html").read_text("utf-8")
    assert 'class="theme-toggle' in home  # light and dark
    assert [word for word in ("HTTP API", "Glossary", "Back up and restore") if word not in home] == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<h1 id="top">A</h1><a href="b.html#there">b</a><a href="#top">up</a>')
    (tmp_path / "b.html").write_text(
        '<a href="gone.html">x</a><a href="a.html#no">y</a><a href="https://example.org">z</a>'
    )
    found = check(tmp_path)
    assert (found.pages, found.inward, len(found.outward)) == (2, 4, 1)
    assert found.dead == ("a.html: b.html#there", "b.html: gone.html", "b.html: a.html#no")
