"""Batch: many pictures or archives as one job, watched to its end."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.parts import options
from dashboard.parts.links import link
from dashboard.parts.running import watch
from dashboard.parts.troubles import sentence
from dashboard.service import service
from maskmill import APIError


def show() -> None:
    models = service().models()
    spaces = [each["name"] for each in service().get("/label-spaces")["items"]]
    with st.form("batch"):
        files = st.file_uploader("Pictures, films or archives (ZIP, TAR)", accept_multiple_files=True)
        masks = st.file_uploader("Ground truth, if there is any: PNGs of the same names", accept_multiple_files=True)
        fields = options.Fields()
        options.usual(fields, models, spaces)
        options.more(fields)
        if st.form_submit_button("Submit", type="primary"):
            _submit(files or [], masks or [], fields)
    if job_id := st.session_state.get("batch_job"):
        st.header("Progress")
        watch(service().job(job_id))
        link("jobs", "Images, metrics and archive of this job", job=job_id)


def _submit(files: Sequence[Any], masks: Sequence[Any], fields: options.Fields) -> None:
    if not files:
        st.error("Choose at least one picture or archive.")
        return
    chosen = fields.options()
    if not masks:
        chosen.pop("mask_label_space", None)
    try:
        with tempfile.TemporaryDirectory() as folder, st.spinner("Sending"):
            sent = _written(files, Path(folder) / "files")
            truth = _written(masks, Path(folder) / "masks")
            st.session_state["batch_job"] = service().submit(sent, masks=truth or None, **chosen).id
    except APIError as error:
        fields.tell(error.errors)
        st.error(sentence(error))


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
