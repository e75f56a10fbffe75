"""What the service lets one choose, in its own words: nothing of it is listed here."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.service import service


@st.cache_data(ttl=60, max_entries=1, show_spinner=False)
def choices() -> dict[str, Any]:
    """Of `GET /limits`: artifacts, exports and sorts with their titles, and more."""
    found: dict[str, Any] = service().limits()["choices"]
    return found
