"""Try: one picture, of one's own or a sample, through one or more models."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import viewer
from dashboard.parts import tables, words
from dashboard.parts.links import link
from dashboard.parts.views import colours_of, downloads, image_view
from dashboard.screens import compare
from dashboard.service import service
from maskmill import JobHandle
from maskmill.errors import WaitTimeout
from maskmill.inputs import IMAGE_SUFFIXES

ARTIFACTS = ["mask", "overlay", "confidence"]
PATIENCE_S = 120.0
FIRST = ("jpg", "png")  # of the list beside the button, which is cut short
KINDS = [*FIRST, *sorted({suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES}.difference(FIRST))]


def show() -> None:
    models = service().models()
    default = [each["name"] for each in models if each["default"]]
    with st.form("try"):
        upload = st.file_uploader("A picture of yours", type=KINDS)
        left, right = st.columns(2)
        samples = [each["id"] for each in service().get("/samples")["items"]]
        sample = left.selectbox("Or a sample scene", samples)
        chosen = right.multiselect("Models", [each["name"] for each in models], default=default)
        if st.form_submit_button("Segment", type="primary"):
            st.session_state["tried"] = _submit(upload, sample, chosen or default)
    if (tried := st.session_state.get("tried")) is None:
        st.write("Choose a picture and press *Segment*: the mask appears here.")
        return
    _result(service().job(tried))


def _submit(upload: object, sample: str, models: list[str]) -> str:
    """One job, of one model or several. Returns its id."""
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"artifacts": ARTIFACTS, "priority": "interactive"}
        options |= {"models": models} if len(models) > 1 else {"model": models[0]}
        if upload is None:
            job = service().submit([{"sample": sample}], **options)
        else:
            path = Path(folder) / Path(getattr(upload, "name", "picture")).name
            path.write_bytes(upload.getbuffer())  # type: ignore[attr-defined]  # Streamlit's UploadedFile
            job = service().submit(path, **options)
    with st.spinner("Segmenting"), suppress(WaitTimeout):
        job.wait(timeout=PATIENCE_S)
    return job.id


def _result(job: JobHandle) -> None:
    image = next(iter(job.rows(limit=1)))
    if job.state.get("models") and image.status == "succeeded":
        tables.spoken(f"Done. {words.image_alt(image.row)} So says {job.state['model']}.")
        compare.pair(job, 0)
        link("compare", "This comparison with its scores", job=job.id)
        return
    name = words.plain(image.name)
    st.header(f"{name} by {words.plain(job.state['model'])}")
    if image.status in ("queued", "running"):
        st.info(f"{name} is {image.status}: the service has other work to do first. Its job shows how far it is.")
        link("jobs", "This result in its job", job=job.id, image="0")
        return
    if image.status != "succeeded":
        reason = image.error or {"message": f"it is {image.status}"}
        st.error(f"{name} has no mask: {words.plain(reason.get('message') or reason.get('code'))}")
        return
    tables.spoken(f"Done. {words.image_alt(image.row)}")
    viewer.show(image_view(job.state, image.row), key=f"viewer-{job.id}")
    tables.facts(
        [
            ("Mean confidence", words.percent(image.metrics.get("mean_confidence"), 1)),
            ("Size", f"{image.row['width']} × {image.row['height']}"),
            ("Work", words.milliseconds(image.work_ms)),
        ]
    )
    tables.share_bars("Share of the pixels by class", image.metrics, colours_of(job.state))
    tables.links(downloads(job.id, image.row))
    link("jobs", "This result in its job", job=job.id, image="0")
