"""The other component of ours: the images of a job, of which only those in sight are loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from dashboard.parts import words
from dashboard.service import service
from dashboard.web.rows import page_of_cards
from maskmill import JobHandle

HERE = Path(__file__).parent
PAGE = 60  # rows that come with the page

_mount = st.components.v2.component(
    "maskmill_gallery",
    html='<div class="gallery" role="region" tabindex="0"><div class="ground"></div></div><p role="status"></p>',
    css=(HERE / "gallery.css").read_text("utf-8"),
    js=(HERE / "gallery.js").read_text("utf-8"),
)


def show(job: JobHandle, *, status: str | None, sort: str | None, opened: Callable[[], None], key: str) -> Any:
    """`opened` is called after a click; the index of the image is the result's `opened`.

    The first rows go with the page: whoever opens it waits for no further question.
    """
    asked = {name: value for name, value in (("status", status), ("sort", sort)) if value}
    total = job.counts.get(status, 0) if status else job.total
    data = {
        "rows": f"/rows/{job.id}?{urlencode(asked)}",
        "first": page_of_cards(service(), job.id, {**asked, "limit": PAGE}),
        "pictures": f"/pictures/jobs/{job.id}",
        "total": total,
        "version": job.finished_images,
        "label": f"{words.counted(total, 'image')} of {job.id}",
    }
    return _mount(key=key, data=data, on_opened_change=opened)
