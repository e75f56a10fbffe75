"""The short form of test_dashboard.py: one page of the dashboard, before an API without workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.dashboard_steps import page_of, pointed_at
from tests.services.chromium import chromium, violations
from tests.unit.api.house import House
from tests.unit.api.live import serving

pytestmark = pytest.mark.slow


def test_a_sample_is_shown_with_the_class_under_the_pointer(tmp_path: Path) -> None:
    with serving(House(tmp_path)) as http, page_of(str(http.base_url), tmp_path) as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(f"{address}/samples?sample=crossing")
        page.locator("canvas[data-ready=yes]").wait_for(timeout=60_000)
        assert pointed_at(page, 0.5, 0.98)[2] == "road"
        assert violations(page) == []
        page.close()
