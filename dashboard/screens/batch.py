"""Batch: many pictures or archives as one job, watched to its end."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.parts.choices import choices
from dashboard.parts.links import link
from dashboard.parts.running import watch
from dashboard.service import service

OWN = "the model's own"


def show() -> None:
    models = sorted(service().models(), key=lambda each: not each["default"])  # the first is what a job takes
    spaces = [each["name"] for each in service().get("/label-spaces")["items"]]
    with st.form("batch"):
        files = st.file_uploader("Pictures or archives (ZIP, TAR)", accept_multiple_files=True)
        masks = st.file_uploader("Ground truth, if there is any: PNGs of the same names", accept_multiple_files=True)
        left, middle, right = st.columns(3)
        options: dict[str, Any] = {
            "model": left.selectbox("Model", [each["name"] for each in models]),
            "label_space": middle.selectbox("Label space", [OWN, *spaces]),
            "mask_label_space": right.selectbox("What the ids of the ground truth mean", ["the same", *spaces]),
        }
        left, right = st.columns([2, 1])  # a row of their own: the focus goes line by line
        options |= {
            "artifacts": left.multiselect("Artifacts", choices()["artifacts"], default=["overlay", "mask"]),
            "priority": right.selectbox("Priority", ["by size", *choices()["priorities"]]),
        }
        if st.form_submit_button("Submit", type="primary"):
            _submit(files or [], masks or [], options)
    if job_id := st.session_state.get("batch_job"):
        st.header("Progress")
        watch(service().job(job_id))
        link("jobs", "Images, metrics and archive of this job", job=job_id)


def _submit(files: Sequence[Any], masks: Sequence[Any], options: dict[str, Any]) -> None:
    if not files:
        st.error("Choose at least one picture or archive.")
        return
    chosen = {
        name: value
        for name, value in options.items()
        if value not in (OWN, "by size") and not (name == "mask_label_space" and (value == "the same" or not masks))
    }
    with tempfile.TemporaryDirectory() as folder, st.spinner("Sending"):
        sent = _written(files, Path(folder) / "files")
        truth = _written(masks, Path(folder) / "masks")
        st.session_state["batch_job"] = service().submit(sent, masks=truth or None, **chosen).id


def _written(uploads: Sequence[Any], folder: Path) -> list[Path]:
    """Files of one name lie in folders of their own."""
    paths = []
    for number, upload in enumerate(uploads):
        path = folder / Path(upload.name).name
        if path.exists():
            path = folder / str(number) / path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(upload.getbuffer())
        paths.append(path)
    return paths
