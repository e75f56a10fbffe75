"""The pages. To add one: a file with a function `show`, and its line here.

The folder is not called `pages`: Streamlit would run each file of such a folder by itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """module: of this folder, with a function `show`. icon: of Material Symbols."""

    title: str
    module: str
    icon: str

    def function(self) -> Callable[[], None]:
        show: Callable[[], None] = importlib.import_module(f"dashboard.screens.{self.module}").show
        return show


FIRST = "try"  # where a browser comes that names none

# By the path under which a browser finds it.
PAGES: Mapping[str, Page] = {
    "try": Page("Try", "try_picture", ":material/add_photo_alternate:"),
    "batch": Page("Batch", "batch", ":material/library_add:"),
    "jobs": Page("Jobs", "jobs", ":material/view_list:"),
    "compare": Page("Compare", "compare", ":material/compare:"),
    "samples": Page("Samples", "samples", ":material/image:"),
    "models": Page("Models", "models", ":material/neurology:"),
    "training": Page("Training", "training", ":material/show_chart:"),
    "health": Page("Health", "health", ":material/monitor_heart:"),
}
