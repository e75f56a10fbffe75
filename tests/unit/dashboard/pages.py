"""One screen of the page by itself, as Streamlit's own tests run it, and the service in memory that it shows."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import httpx
from streamlit.testing.v1 import AppTest

from tests.unit.api.house import House


@dataclass(frozen=True)
class Open:
    house: House
    http: httpx.Client

    def submit(self, *files: tuple[str, bytes], **options: Any) -> str:
        sent = [("files", each) for each in files]
        answer = self.http.post("/jobs", files=sent, data={"options": json.dumps(options)})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


def _page(screen: str) -> None:
    from dashboard.parts.troubles import telling
    from dashboard.screens import PAGES

    telling(PAGES[screen].function())()


def shown(screen: str, **query: str) -> AppTest:
    page = AppTest.from_function(_page, kwargs={"screen": screen}, default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception, page.exception
    return page


def fill(page: AppTest, label: str, value: Any) -> None:
    fields = (*page.number_input, *page.text_input, *page.selectbox)
    next(each for each in fields if each.label == label).set_value(value)


def said(element: Any) -> str:
    """What Markdown shows where every sign is meant as it is."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", str(element.value))


def html(page: AppTest) -> str:
    return "".join(each.proto.body for each in page.get("html"))
