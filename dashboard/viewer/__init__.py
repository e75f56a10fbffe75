"""One small component of ours: a picture with its mask, coloured in the browser. It fetches its pictures itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
PARTS = ("viewer.js", "editor.js", "pictures.js")
SCRIPT = "\n".join((HERE / each).read_text("utf-8") for each in PARTS)  # Streamlit takes one text: a module of all

_mount = st.components.v2.component(
    "maskmill_viewer",
    html=(HERE / "viewer.html").read_text("utf-8"),
    css=(HERE / "viewer.css").read_text("utf-8"),
    js=SCRIPT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one viewer shows. name, alt: for those who do not see it; the others are addresses of this page.

    classes: of the label space, each with `id`, `name`, `hex` and `safe` (its colours) and `share` (text, or None).
    safe: whether it begins with the colour-blind colours.
    other: the mask of another model, with `models`, the names of `mask` and `other`.
    save: where a correction goes; None: the mask cannot be corrected here.
    """

    name: str
    alt: str
    classes: Sequence[Mapping[str, Any]]
    picture: str | None = None
    mask: str | None = None
    other: str | None = None
    truth: str | None = None
    confidence: str | None = None
    safe: bool = False
    save: str | None = None
    models: Sequence[str] = ()
    identity: str = field(default="")


def show(view: View, *, key: str, saved: Callable[[], None] = lambda: None) -> None:
    """saved: called when a correction arrived."""
    data = {name: getattr(view, name) for name in View.__slots__}
    shown = (view.picture, view.mask, view.other, view.truth, view.confidence, view.save)
    data["identity"] = view.identity or "|".join(str(each) for each in shown)
    _mount(key=key, data=data, on_saved_change=saved)
