"""A job while it runs: how far it is, every second, and what can be done about it."""

from __future__ import annotations

import streamlit as st

from dashboard.parts import tables, words
from dashboard.parts.troubles import telling
from dashboard.service import service
from maskmill import JobHandle

EVERY_S = 1.0


def watch(job: JobHandle) -> None:
    """Looks again by itself until the job has ended; then the whole page is drawn once more."""
    st.fragment(telling(_look), run_every=None if job.finished else EVERY_S)(job, job.finished)


def _look(job: JobHandle, was_ended: bool) -> None:
    if not was_ended:
        job = service().job(job.id)
    tables.spoken(words.progress(job.state))
    if passed_over := words.passed_over(job.state):
        st.info(words.plain(passed_over))
    st.progress(
        min(1.0, float(job.state["progress"])), text=f"{job.finished_images} of {words.counted(job.total, 'image')}"
    )
    left, right = st.columns(2)
    if left.button("Cancel", disabled=job.finished, key=f"cancel-{job.id}"):
        job.cancel()
        st.rerun()
    if right.button("Retry what failed", disabled=not (job.finished and job.counts["failed"]), key=f"retry-{job.id}"):
        job.retry()
        st.rerun()
    if job.finished and not was_ended:
        st.rerun()
