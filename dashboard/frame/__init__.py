"""A component of ours: a page of the service within a page, in a sandbox. It runs its script and reaches nothing."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

_mount = st.components.v2.component(
    "maskmill_frame",
    css="iframe { width: 100%; height: min(85vh, 1000px); border: 1px solid currentColor; border-radius: 6px; }",
    js=(HERE / "frame.js").read_text("utf-8"),
)


def show(address: str, *, title: str, key: str) -> None:
    """address: of a route of this process. title: for those who do not see it."""
    _mount(key=key, data={"address": address, "title": title})
