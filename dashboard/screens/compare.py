"""Compare: models of one job by scores, by pairs, by classes, on one picture with a divider, and as one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard import frame, viewer
from dashboard.parts import tables, words
from dashboard.parts.links import link, path
from dashboard.parts.views import pair_view
from dashboard.service import service
from maskmill import JobHandle

LOOKED_THROUGH = 200  # of the newest jobs
CONTESTED = 25


def show() -> None:
    job_id = st.query_params.get("job")
    if job_id is None:
        _choose()
        return
    job = service().job(job_id)
    if not job.state.get("models"):
        st.write("This job ran one model. *Try* with several models makes a comparison.")
        return
    path(("compare", "Other comparisons", {}), ("jobs", job.id, {"job": job.id}))
    tables.warned(job.state)
    told = job.comparison(contested=CONTESTED)
    _scores(told)
    tables.reading(words.scores_reading(told["pairs"]))
    _pairs(told["pairs"])
    _classes(told)
    index = _contested(told["most_contested"])
    if index is not None:
        pair(job, index)
    if job.finished:
        _whole(job)


def _classes(told: Mapping[str, Any]) -> None:
    """By IoU, or by share where no truth is known."""
    measure = "iou" if told["images"]["with_truth"] else "fraction"
    title = "IoU" if measure == "iou" else "Share of the pixels"
    names = [each["model"] for each in told["models"]]
    rows = [(each["name"], [by[measure] for by in each["models"]]) for each in told["classes"]]
    tables.model_bars(f"{title} by class and model", names, rows)
    tables.reading(words.classes_reading(title, names, rows))


def _whole(job: JobHandle) -> None:
    with st.expander("The comparison as one page, with a grid of pictures"):
        address = f"/comparisons/{job.id}"
        tables.links([("comparison.html", address)])
        frame.show(address, title=f"Comparison of the models of {job.id}", key=f"whole-{job.id}")


def pair(job: JobHandle, index: int) -> None:
    """Two of a job's models on one of its images: swiped, each, and where they differ."""
    names: Sequence[str] = job.state["models"]
    left, right = st.columns(2)
    first = left.selectbox("Right of the divider", names, key=f"first-{job.id}")
    others = [name for name in names if name != first]
    second = right.selectbox("Left of the divider", others, key=f"second-{job.id}")
    row = service().get(f"/jobs/{job.id}/images/{index}")
    if row["status"] != "succeeded":
        st.error(words.plain(f"{row['name']} has no masks: it is {row['status']}."))
        return
    st.header(words.plain(f"{row['name']}: {first} and {second}"))
    viewer.show(pair_view(job.state, row, (first, second)), key=f"pair-{job.id}-{index}-{first}-{second}")
    rows = [
        (name, words.percent((each.get("metrics") or {}).get("mean_confidence"), 1), _largest(each))
        for name, each in _by_model(row.get("results") or {})
    ]
    tables.table("What each model says of this picture", ["Model", "Confidence", "Largest classes"], rows)


def _by_model(results: Any) -> list[tuple[str, Mapping[str, Any]]]:
    if isinstance(results, Mapping):
        return list(results.items())
    return [(str(each.get("model")), each) for each in results]


def _largest(result: Mapping[str, Any]) -> str:
    largest = words.shares(result.get("metrics") or {})[: words.NAMED]
    return ", ".join(f"{name} {words.percent(share)}" for name, share in largest)


def _choose() -> None:
    rows = service().get("/jobs", limit=LOOKED_THROUGH)["items"]
    several = [row for row in rows if row.get("models")]
    if not several:
        st.write("No job ran several models yet. Choose two or more on *Try*.")
    for row in several:
        facts = (
            " and ".join(row["models"]),
            words.counted(row["images"]["total"], "image"),
            words.moment(row["created_at"]),
        )
        link("compare", f"{row['id']}: {', '.join(facts)}", job=row["id"])
    _report()


def _report() -> None:
    """What the command line compared: runs and bundles, with curves by epoch and confusion matrices."""
    with st.expander("A page that maskmill compare wrote"):
        upload = st.file_uploader("Its HTML file", type=["html"])
        if upload is None:
            return
        try:
            frame.show_document(upload.getvalue().decode(), title=f"The page {upload.name}", key="report")
        except ValueError:  # nor is it text
            st.error(f"{words.plain(upload.name)} is no page of Maskmill: `maskmill compare` writes one.")


def _scores(told: Mapping[str, Any]) -> None:
    images = told["images"]
    tables.spoken(
        f"compared: {images['compared']} of {words.counted(images['total'], 'image')}, "
        f"{images['with_truth']} with ground truth; "
        f"disagreement {words.percent(told['disagreement'], 1)}."
    )
    rows = []
    for each in told["models"]:
        truth = each["metrics"].get("ground_truth") or {}
        span = each["miou_interval"]
        interval = "–" if span is None else f"{words.percent(span[0], 1)} to {words.percent(span[1], 1)}"
        numbers = [words.percent(truth.get(name), 1) for name in ("miou", "pixel_accuracy", "mean_dice")]
        confidence = words.percent(each["metrics"].get("mean_confidence"), 1)
        rows.append([each["model"], numbers[0], interval, *numbers[1:], confidence])
    heads = ["Model", "mIoU", "95 % interval", "Pixel accuracy", "Dice", "Confidence"]
    tables.table("Scores", heads, rows)
    left_out = words.left_out(told["models"])
    if left_out is not None:
        tables.spoken(left_out)


def _pairs(pairs: Sequence[Mapping[str, Any]]) -> None:
    rows = []
    for each in pairs:
        judged = each["ground_truth"] or {}
        beyond = {True: "yes", False: "no", None: "–"}[judged.get("beyond_chance")]
        difference = words.percent(judged.get("miou_difference"), 1)
        rows.append([" and ".join(each["models"]), words.percent(each["agreement"], 1), difference, beyond])
    heads = ["Models", "Same class", "mIoU of the first less the second's", "Beyond chance"]
    tables.table("Every two models", heads, rows)


def _contested(images: Sequence[Mapping[str, Any]]) -> int | None:
    """Which image to look at, the most contested first."""
    if not images:
        return None
    rows = {each["index"]: f"{each['name']} ({words.percent(each['disagreement'], 1)})" for each in images}
    asked = st.query_params.get("image", "")
    indices = list(rows)
    if asked.isdecimal() and int(asked) not in rows:
        indices.insert(0, int(asked))
    place = indices.index(int(asked)) if asked.isdecimal() else 0
    label = "Image, most contested first"
    chosen: int = st.selectbox(label, indices, index=place, format_func=lambda at: rows.get(at, f"image {at}"))
    return chosen
