"""A component of ours: a page made elsewhere within a page, in a sandbox. It runs its script and reaches nothing."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
# What a framed page may do: show itself.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
OURS = '<meta name="generator" content="Maskmill">'

_mount = st.components.v2.component(
    "maskmill_frame",
    css="iframe { width: 100%; height: min(85vh, 1000px); border: 1px solid currentColor; border-radius: 6px; }",
    js=(HERE / "frame.js").read_text("utf-8"),
)


def show(address: str, *, title: str, key: str) -> None:
    """address: of a route of this process. title: for those who do not see it."""
    _mount(key=key, data={"name": "src", "value": address, "title": title})


def show_document(html: str, *, title: str, key: str) -> None:
    """html: from wherever; it gets the policy that a route would send. Raises ValueError for no page of ours."""
    head, begins, rest = html.partition("<head>")
    if not begins or OURS not in rest:
        raise ValueError("no page that `maskmill compare`, `report` or `demo` wrote")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    _mount(key=key, data={"name": "srcdoc", "value": f"{head}{begins}{policy}{rest}", "title": title})
