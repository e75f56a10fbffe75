"""A job's exports and deliveries on its page, before the service in memory."""

from __future__ import annotations

import json
from pathlib import Path

from streamlit.testing.v1 import AppTest

from dashboard.service import connect, disconnect
from dashboard.settings import DashboardSettings
from jobs.deliveries.delivery import Reply
from tests.factories import picture
from tests.unit.api.house import House
from tests.unit.api.live import serving
from tests.unit.api.test_webhooks import URL, Receiver, deliver


def _page(job_id: str) -> None:
    from dashboard.parts import outgoing
    from dashboard.service import service

    job = service().job(job_id)
    outgoing.archives(job)
    outgoing.deliveries(job)


def test_exports_are_links_and_a_delivery_can_be_sent_again(tmp_path: Path) -> None:
    house = House(tmp_path)
    with serving(house) as http:
        files, told = {"files": ("a.jpg", picture())}, {"webhook": json.dumps({"url": URL})}
        job_id = http.post("/jobs", files=files, data=told).json()["id"]
        house.work()
        deliver(house, Receiver(Reply(status_code=204)))
        connect(DashboardSettings(server=str(http.base_url)))
        page = AppTest.from_function(_page, kwargs={"job_id": job_id}, default_timeout=60).run()
        assert not page.exception
        shown = "".join(each.proto.body for each in page.get("html"))
        assert f"/archives/{job_id}?export=cvat" in shown
        assert "<td>job.completed</td>" in shown
        assert "<td>delivered</td><td>1</td><td>204</td>" in shown
        page.checkbox(key=f"pictures-{job_id}").check()
        page.button[0].click().run()
        shown = "".join(each.proto.body for each in page.get("html"))
        assert "export=cvat&amp;pictures=true" in shown
        assert http.get(f"/jobs/{job_id}/deliveries").json()["items"][0]["status"] == "pending"
        disconnect()
