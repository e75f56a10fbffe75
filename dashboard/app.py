"""The application: Streamlit's pages, and beside them the routes by which browsers fetch pictures and rows."""

from __future__ import annotations

from pathlib import Path

from streamlit.starlette import App

from dashboard.service import connect
from dashboard.settings import DashboardSettings
from dashboard.web.routes import routes

MAIN = Path(__file__).with_name("main.py")


def make_app(settings: DashboardSettings) -> App:
    return App(MAIN, routes=routes(connect(settings), settings))
