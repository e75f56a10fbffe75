"""The page around the sections, of a comparison or of a job: one HTML file that asks nobody for anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from jobs.comparing.pages.parts import Html


@dataclass(frozen=True, slots=True)
class Section:
    """key: unique on the page. A section without content is left out."""

    key: str
    title: str
    content: Html


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPage:
    """kind, title and lead: text. top: what of, in facts. made: by whom. data: JSON values, the page's numbers."""

    title: str
    lead: str
    top: Html
    sections: Sequence[Section]
    made: Html
    data: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "comparison of models"

    def render(self) -> str:
        shown = [each for each in self.sections if each.content]
        return Template(_file("page.html")).substitute(
            kind=escape(self.kind),
            title=escape(self.title),
            lead=escape(self.lead),
            style=_file("style.css"),
            top=self.top,
            contents="\n".join(f'    <li><a href="#{each.key}">{escape(each.title)}</a></li>' for each in shown),
            sections="\n".join(map(_section, shown)),
            made=self.made,
            data=_data(self.data) if self.data else "",
            script=_file("script.js"),
        )


def title_of(models: Sequence[str]) -> str:
    return " against ".join(models) if len(models) == 2 else f"{len(models)} models compared"


def _section(section: Section) -> str:
    head = f'<section aria-labelledby="{section.key}" class="{section.key}-section">\n  <h2 id="{section.key}">'
    return f"{head}{escape(section.title)}</h2>\n{section.content}\n</section>"


def _data(data: Mapping[str, Any]) -> str:
    """No text in it can end the element that holds it."""
    text = json.dumps(data, ensure_ascii=False, default=str)
    inner = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f'<script type="application/json" id="comparison-data">{inner}</script>'


def _file(name: str) -> str:
    return files("jobs.comparing.pages").joinpath(name).read_text(encoding="utf-8").rstrip()
