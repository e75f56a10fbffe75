"""Health: whether all parts answer, who works, what waits, and what one may ask for."""

from __future__ import annotations

import re

import streamlit as st

from dashboard.parts import tables, words
from dashboard.parts.troubles import telling
from dashboard.service import service
from maskmill import APIError

SAMPLE = re.compile(r"^(maskmill_[a-z_]+)(?:\{(.*)\})? ([0-9.eE+-]+|NaN)$")
SHOWN = {
    "maskmill_part_up": "Part answers",
    "maskmill_workers": "Workers that live",
    "maskmill_slices_waiting": "Slices in the broker",
    "maskmill_queue_images": "Images that wait",
    "maskmill_running_images": "Images that run",
    "maskmill_queue_oldest_seconds": "Oldest of those that wait, seconds",
    "maskmill_queue_backlog_seconds": "Until all of them are done, seconds",
    "maskmill_webhooks_owed": "Webhooks that are owed",
    "maskmill_webhooks_oldest_seconds": "Oldest of them, seconds",
}


def show() -> None:
    st.fragment(telling(_look), run_every=5.0)()


def _look() -> None:
    server = service()
    version = server.get("/health")["version"]
    try:
        ready = server.get("/ready")
        tables.spoken("All parts answer.")
        workers = ready["workers"]
    except APIError as error:
        st.error(f"Not ready: {words.plain(error.detail)}")
        workers = []
    tables.facts([("Service", server.server), ("Version", version), ("Workers", len(workers))])
    if workers:
        tables.table("Workers", ["Name"], [[name] for name in workers])
    _limits()
    _metrics()


def _limits() -> None:
    limits = service().limits()
    caller = limits["caller"]
    rows = [
        ("Who asks", f"tenant {caller['tenant']}, scope {caller['scope']}"),
        ("Bytes of a request", f"{limits['request_bytes'] / 2**20:.0f} MiB"),
        ("Bytes of an image", f"{limits['image_bytes'] / 2**20:.0f} MiB"),
        ("Pixels of an image", f"{limits['image_pixels'] / 1e6:.0f} million"),
        ("Images of a job", f"{limits['images_per_job']:,}"),
        ("Results are kept", words.seconds(limits["retention_seconds"]) if limits["retention_seconds"] else "always"),
    ]
    tables.table("Limits", ["What", "How much"], rows)


def _metrics() -> None:
    try:
        text = service().read("/metrics").data.decode()
    except APIError as error:
        tables.reading(f"Queues are not shown: {error.detail}")
        return
    rows = []
    for line in text.splitlines():
        found = SAMPLE.match(line)
        if found and found[1] in SHOWN:
            rows.append((SHOWN[found[1]], (found[2] or "").replace('"', "").replace(",", ", "), f"{float(found[3]):g}"))
    tables.table("Parts and queues", ["What", "Of", "Value"], rows)
