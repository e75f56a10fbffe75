"""`python -m dashboard`: the page in a process of its own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from dashboard.settings import DashboardSettings

# Text, links and the main colour against their grounds: 4.5 to 1 and more, in light and dark.
LIGHT = {"primaryColor": "#1f5fae", "textColor": "#1b1f24", "linkColor": "#1a56a0", "backgroundColor": "#ffffff"}
DARK = {"primaryColor": "#2f6fbe", "textColor": "#f2f2f0", "linkColor": "#8fc1ff", "backgroundColor": "#14161a"}


def options(settings: DashboardSettings) -> dict[str, Any]:
    """Streamlit's own: nothing is told to anybody, nothing is watched, no menu of a developer."""
    themes = {f"theme.{name}.{key}": value for name, theme in _THEMES.items() for key, value in theme.items()}
    return {
        "server.address": settings.host,
        "server.port": settings.port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.maxUploadSize": settings.upload_mib,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": "false",  # they lead to others' search pages, with the error
        **themes,
    }


_THEMES = {"light": LIGHT, "dark": DARK}


def main(arguments: Sequence[str] | None = None) -> None:
    settings = DashboardSettings()
    parser = argparse.ArgumentParser(prog="python -m dashboard", description="The page to look at masks.")
    parser.add_argument("--host", default=settings.host)
    parser.add_argument("--port", type=int, default=settings.port)
    parser.add_argument("--server", default=settings.server, help="address of the service that it shows")
    given = parser.parse_args(arguments)
    chosen = settings.model_copy(update={"host": given.host, "port": given.port, "server": given.server})

    from dashboard.app import make_app

    make_app(chosen).run(config=options(chosen))


if __name__ == "__main__":
    main()
