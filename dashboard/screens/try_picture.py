"""Try: one picture, of one's own or a sample, through one or more models."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import viewer
from dashboard.parts import tables, words
from dashboard.parts.views import colours_of, downloads, image_view
from dashboard.service import service
from maskmill import JobHandle

ARTIFACTS = ["mask", "overlay", "confidence"]
PATIENCE_S = 120.0
KINDS = ["jpg", "jpeg", "png", "webp", "avif", "tif", "tiff", "bmp", "gif", "heic"]


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
    results = [service().job(job_id) for job_id in st.session_state.get("tried", [])]
    if not results:
        st.write("Choose a picture and press *Segment*: the mask appears here.")
        return
    for place, job in zip(st.columns(min(len(results), 2)) * len(results), results, strict=False):
        with place:
            _result(job)


def _submit(upload: object, sample: str, models: list[str]) -> list[str]:
    """A job a model, all at once. Returns their ids."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for model in models:
            options: dict[str, Any] = {"model": model, "artifacts": ARTIFACTS, "priority": "interactive"}
            if upload is None:
                told = {"sample": sample}  # its picture stays where it is: the page shows it from there
                jobs.append(service().submit([told], metadata=told, **options))
                continue
            path = Path(folder) / Path(getattr(upload, "name", "picture")).name
            path.write_bytes(upload.getbuffer())  # type: ignore[attr-defined]  # Streamlit's UploadedFile
            jobs.append(service().submit(path, **options))
    with st.spinner("Segmenting"):
        for job in jobs:
            job.wait(timeout=PATIENCE_S)
    return [job.id for job in jobs]


def _result(job: JobHandle) -> None:
    image = next(iter(job.rows(limit=1)))
    st.header(f"{image.name} by {job.state['model']}")
    if image.status != "succeeded":
        reason = image.error or {"message": f"it is {image.status}"}
        st.error(f"{image.name} has no mask: {reason.get('message') or reason.get('code')}")
        return
    work_ms = (image.row.get("timings_ms") or {}).get("total")
    tables.spoken(f"Done. {words.image_alt(image.row)}")
    viewer.show(image_view(job.state, image.row), key=f"viewer-{job.id}")
    tables.facts(
        [
            ("Mean confidence", words.percent(image.metrics.get("mean_confidence"), 1)),
            ("Size", f"{image.row['width']} × {image.row['height']}"),
            ("Work", "–" if work_ms is None else f"{work_ms:.0f} ms"),
        ]
    )
    tables.share_bars("Share of the pixels by class", image.metrics, colours_of(job.state["label_space"]))
    tables.links(downloads(job.id, image.row))
    st.markdown(f"[This result in its job](/jobs?job={job.id}&image=0)")
