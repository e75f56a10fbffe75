"""Jobs: the list, one job with its images, one image with its mask. Each is a link: `?job=…&image=…`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard import gallery, viewer
from dashboard.parts import outgoing, tables, words
from dashboard.parts.choices import choices
from dashboard.parts.links import link, path
from dashboard.parts.running import watch
from dashboard.parts.views import colours_of, downloads, image_view
from dashboard.service import service
from maskmill import JobHandle

STATUSES = ["any", "queued", "running", "succeeded", "partial", "failed", "canceled"]
PAGE = 25


def show() -> None:
    job_id, index = st.query_params.get("job"), st.query_params.get("image")
    if job_id is None:
        _list()
        return
    job = service().job(job_id)
    if index is not None and index.isdecimal():
        _image(job, int(index))
    else:
        _job(job)


def _list() -> None:
    left, right = st.columns(2)
    names = [each["name"] for each in service().models()]
    status = left.selectbox("Status", STATUSES, key="status", bind="query-params")
    model = right.selectbox("Model", ["any", *names], key="model", bind="query-params")
    kind = (status, model)
    if st.session_state.get("jobs_kind") != kind:
        st.session_state["jobs_kind"], st.session_state["jobs_marks"] = kind, [None]
    marks: list[str | None] = st.session_state["jobs_marks"]
    wanted = {"status": status, "model": model}
    page = service().get(
        "/jobs", limit=PAGE, cursor=marks[-1], **{name: value for name, value in wanted.items() if value != "any"}
    )
    if gone := st.session_state.pop("jobs_deleted", None):
        tables.spoken(f"{gone} is deleted.")
    if not page["items"]:
        is_filtered = kind != ("any", "any") or len(marks) > 1
        st.write("No job fits that." if is_filtered else "No jobs here yet. *Try* and *Batch* make some.")
    for row in page["items"]:
        images = words.counted(row["images"]["total"], "image")
        facts = f"{row['status']} · {images} · {row['model']} · {words.moment(row['created_at'])}"
        link("jobs", f"{row['id']}: {facts}", job=row["id"])
    earlier, later = st.columns(2)
    if earlier.button("Newer", disabled=len(marks) == 1):
        marks.pop()
        st.rerun()
    if later.button("Older", disabled=page["next_cursor"] is None):
        marks.append(page["next_cursor"])
        st.rerun()


def _job(job: JobHandle) -> None:
    link("jobs", "All jobs")
    st.header(job.id)
    watch(job)
    if models := job.state.get("models"):
        link("compare", f"Comparison of {words.plain(' and '.join(models))}", job=job.id)
    _facts(job)
    chosen, order, _ = st.columns(3)
    status = chosen.selectbox("Images", ["all", "succeeded", "failed", "queued", "running", "canceled"])
    sorts = choices()["sorts"]
    offered = [each for each in sorts if each != "disagreement" or job.state.get("models")]
    sort = order.selectbox("Order", offered, format_func=sorts.__getitem__)
    if job.total:
        opened = gallery.show(
            job, status=None if status == "all" else status, sort=sort, opened=lambda: None, key=f"gallery-{job.id}"
        )
        if opened.opened is not None:
            st.query_params["image"] = str(opened.opened)
            st.rerun()
    _more(job)


def _facts(job: JobHandle) -> None:
    truth = job.metrics.get("ground_truth") or {}
    pairs: list[tuple[str, object]] = [
        ("Numbers and masks of" if job.state.get("models") else "Model", job.state["model"]),
        ("Label space", job.state["label_space"]),
        ("Mean confidence", words.percent(job.metrics.get("mean_confidence"), 1)),
        ("Created (UTC)", words.moment(job.state["created_at"])),
        ("Kept until (UTC)", words.moment(job.state["expires_at"])),
    ]
    if job.metrics.get("coverage") is not None:
        pairs.append(("Pixels that are not void", words.percent(job.metrics["coverage"], 1)))
    if truth:
        pairs += [("mIoU", words.percent(truth.get("miou"), 1)), ("Images with truth", truth.get("images", "–"))]
        pairs.append(("Pixel accuracy", words.percent(truth.get("pixel_accuracy"), 1)))
    tables.facts(pairs)
    tables.warned(job.state)


def _more(job: JobHandle) -> None:
    if words.shares(job.metrics):
        caption = "Share of the pixels by class, over all images"
        tables.share_bars(caption, job.metrics, colours_of(job.state))
    if job.counts["failed"]:
        rows = [
            (image.index, image.name, (image.error or {}).get("code"), (image.error or {}).get("message"))
            for image in job.rows(status="failed", limit=100)
        ]
        tables.table("Failed images (the first hundred)", ["Index", "Name", "Code", "Reason"], rows)
    if job.finished:
        outgoing.archives(job)
    outgoing.deliveries(job)
    if job.finished:
        _deleting(job)


def _deleting(job: JobHandle) -> None:
    """Two steps, of which the second says what will be gone."""
    with st.expander("Delete this job"):
        meant = st.checkbox("Delete pictures, results and corrections for good", key=f"meant-{job.id}")
        if st.button("Delete", disabled=not meant, key=f"delete-{job.id}"):
            job.delete()
            for kept in ("tried", "batch_job"):  # other pages would look for it
                if st.session_state.get(kept) == job.id:
                    del st.session_state[kept]
            st.session_state["jobs_deleted"] = job.id
            st.query_params.clear()
            st.rerun()


def _image(job: JobHandle, index: int) -> None:
    row = service().get(f"/jobs/{job.id}/images/{index}")
    path(("jobs", "All jobs", {}), ("jobs", job.id, {"job": job.id}))
    st.header(words.plain(row["name"]))
    _neighbours(job, index)
    if row["status"] != "succeeded":
        reason = row.get("error") or {"message": f"it is {row['status']}"}
        st.error(f"No mask: {words.plain(reason.get('message') or reason.get('code'))}")
    for warning in row.get("warnings") or ():
        st.warning(words.plain(f"{warning['code']}: {warning['detail']}"))
    if {"input", "mask"} & set(row.get("artifacts") or ()):
        viewer.show(image_view(job.state, row, correctable=True), key=f"viewer-{job.id}-{index}")
    _numbers(job, row)
    _corrections(job, index)


def _corrections(job: JobHandle, index: int) -> None:
    """All that was ever saved, the newest first."""
    found = service().get(f"/jobs/{job.id}/images/{index}/corrections")["items"]
    if not found:
        return
    rows = [
        (each["version"], words.moment(each["made_at"]), each["made_by"] or "–", f"{each['size']:,}") for each in found
    ]
    tables.table("Corrections", ["Version", "Saved (UTC)", "Key", "Bytes"], rows)
    base = f"/pictures/jobs/{job.id}/{index}/correction"
    versions = [each["version"] for each in found]
    tables.links([(f"Version {version}", f"{base}?version={version}") for version in versions])


def _neighbours(job: JobHandle, index: int) -> None:
    before, after, _ = st.columns([1, 1, 4])
    if before.button("Previous image", disabled=index == 0):
        st.query_params["image"] = str(index - 1)
        st.rerun()
    if after.button("Next image", disabled=index + 1 >= job.total):
        st.query_params["image"] = str(index + 1)
        st.rerun()


def _numbers(job: JobHandle, row: Mapping[str, Any]) -> None:
    metrics = row.get("metrics") or {}
    truth = metrics.get("ground_truth") or {}
    pairs: list[tuple[str, object]] = [("Mean confidence", words.percent(metrics.get("mean_confidence"), 1))]
    if metrics.get("coverage") is not None:
        pairs.append(("Pixels that are not void", words.percent(metrics["coverage"], 1)))
    if truth:
        source = "a correction" if truth.get("source") == "correction" else "ground truth"
        pairs += [(f"mIoU against {source}", words.percent(truth.get("miou"), 1))]
        pairs += [("Pixel accuracy", words.percent(truth.get("pixel_accuracy"), 1))]
    pairs += [("Attempts", row["attempts"]), ("Device", row.get("device") or "–")]
    tables.facts(pairs)
    if words.shares(metrics):
        tables.share_bars("Share of the pixels by class", metrics, colours_of(job.state))
    tables.links(downloads(job.id, row))
