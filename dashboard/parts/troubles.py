"""What goes wrong is said on the page, with what helps, instead of where in the code."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import streamlit as st

from dashboard.parts.words import plain
from maskmill import APIError, MaskmillError
from maskmill.errors import ServerUnreachable

P = ParamSpec("P")


def telling(show: Callable[P, None]) -> Callable[P, None]:
    """Around a page, and around each part of one that is drawn by itself."""

    @wraps(show)
    def told(*values: P.args, **named: P.kwargs) -> None:
        try:
            show(*values, **named)
        except MaskmillError as error:
            st.error(sentence(error))
            if isinstance(error, ServerUnreachable):
                st.button("Try again", key=f"again-{show.__module__}-{show.__qualname__}")  # draws this part anew

    return told


def sentence(error: MaskmillError) -> str:
    """As Markdown."""
    if isinstance(error, APIError):
        told = f"The service refused: {plain(error.detail)} ({plain(error.code)})"
        if error.status in (401, 403):
            which = "such a key" if error.status == 403 else "a key of this service"
            told += f". The page calls with MASKMILL_API_KEY: set it to {which}, and start the page again."
        return told
    if isinstance(error, ServerUnreachable):
        return f"{plain(error)}. Start the service with `maskmill up`, or say with MASKMILL_SERVER where it is."
    return plain(error)
