"""Training: the curves of runs, one metric at a time, each with its meaning, its reading and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import streamlit as st

from dashboard.parts import tables
from dashboard.settings import DashboardSettings
from dashboard.training import curves
from dashboard.training.runs import Points, Run, Runs, RunsUnavailable

FIRST = "miou"
BEGUN_WITH = 2  # runs that are shown before somebody chooses
FRESH_S = 10


@lru_cache(maxsize=4)
def _runs(uri: str) -> Runs:
    return Runs(uri)


def show() -> None:
    uri = DashboardSettings().resolved_tracking_uri
    try:
        listed = _listed(uri)
        if not listed:
            st.write("MLflow knows no run yet. `maskmill train` makes one.")
            return
        _figures(uri, listed)
    except RunsUnavailable as error:
        st.info(str(error))


@st.cache_data(ttl=FRESH_S, max_entries=4, show_spinner=False)
def _listed(uri: str) -> list[Run]:
    return _runs(uri).listed()


@st.cache_data(ttl=FRESH_S, max_entries=256, show_spinner=False)
def _curve(uri: str, run_id: str, metric: str) -> Points:
    return _runs(uri).curve(run_id, metric)


def _figures(uri: str, listed: Sequence[Run]) -> None:
    labels = {f"{run.name} ({run.started:%Y-%m-%d %H:%M}, {run.id[:6]})": run for run in listed}
    metrics = sorted(
        {name for run in listed for name in run.latest}, key=lambda name: (name != FIRST, "/" in name, name)
    )
    metric = st.selectbox("Metric", metrics, help="What the trainings logged")
    measured = [label for label, run in labels.items() if FIRST in run.latest] or list(labels)
    chosen = st.multiselect("Runs", list(labels), default=measured[:BEGUN_WITH], max_selections=curves.MOST)
    if not metrics or not chosen:
        st.write("Choose a metric and at least one run.")
    else:
        _figure(metric, {label: _curve(uri, labels[label].id, metric) for label in chosen})
    heads = ["Run", "Status", "Begun (UTC)", "mIoU", "Training loss"]
    tables.table(f"Newest runs ({len(listed)})", heads, [_row(run) for run in listed])


def _figure(metric: str, shown: dict[str, Points]) -> None:
    told = curves.reading(metric, shown)
    tables.reading(curves.meaning(metric))
    if any(shown.values()):
        st.image(curves.drawn(metric, shown), alt=f"{metric} over epochs. {told}")
    tables.reading(told)
    with st.expander("The numbers"):
        tables.table(f"{metric} by epoch", ["Epoch", *shown], curves.rows(shown))


def _row(run: Run) -> list[object]:
    latest = [f"{run.latest[name]:.4g}" if name in run.latest else "–" for name in ("miou", "train_loss")]
    return [run.name, run.status, f"{run.started:%Y-%m-%d %H:%M}", *latest]
