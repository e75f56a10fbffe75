"""What Streamlit runs for each session: the list of pages, the page that was asked for, and errors in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st
from PIL import Image

from dashboard.parts.links import tell_address
from dashboard.parts.troubles import telling
from dashboard.screens import FIRST, PAGES
from dashboard.screens import Page as Listed

STYLE = f"<style>{Path(__file__).with_name('style.css').read_text('utf-8')}</style>"


def _told(listed: Listed) -> Callable[[], None]:
    """A page that says what went wrong instead of showing where in the code."""

    def show() -> None:
        st.html(STYLE)
        st.title(listed.title)
        tell_address()
        telling(listed.function())()

    return show


def _icon() -> Image.Image:
    """Drawn here: without one, Streamlit lets browsers fetch it from elsewhere."""
    icon = Image.new("RGB", (32, 32), "#4682b4")
    icon.paste("#46464f", (0, 12, 32, 22))
    icon.paste("#804080", (0, 22, 32, 32))
    return icon


def main() -> None:
    st.set_page_config(page_title="Maskmill", page_icon=_icon(), layout="wide")
    pages = {
        path: st.Page(_told(listed), title=listed.title, icon=listed.icon, url_path=path, default=path == FIRST)
        for path, listed in PAGES.items()
    }
    chosen = st.navigation(list(pages.values()))
    if chosen is pages[FIRST] and "job" in st.query_params:  # a link to a job, without the name of its page
        st.switch_page(pages["jobs"], query_params=dict(st.query_params))
    chosen.run()


main()
