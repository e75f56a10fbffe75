"""Links between pages: in the same tab, without loading the application again, with an address that can be copied."""

from __future__ import annotations

import streamlit as st


def link(page: str, label: str, **query: str) -> None:
    """page: of PAGES. label: Markdown."""
    st.page_link(st.Page(_nothing, title=page, url_path=page), label=label, query_params=query or None)


def path(*steps: tuple[str, str, dict[str, str]]) -> None:
    """Where one is: a row of links, each (page, label, query)."""
    with st.container(horizontal=True):
        for page, label, query in steps:
            link(page, label, **query)


def tell_address() -> None:
    """To the browser: a link from a page to itself, with another query, leaves its address as it was."""
    st.query_params.update({})


def _nothing() -> None:
    """Streamlit knows a page by its address; what it shows was said to `st.navigation`."""
