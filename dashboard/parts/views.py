"""From an image of a job, or a sample, to what the viewer shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from dashboard.parts.words import image_alt, percent
from dashboard.service import service
from dashboard.viewer import View


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def classes_of(space: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service().label_space(space)["classes"]
    return found


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def classes_of_job(job_id: str) -> list[dict[str, Any]]:
    """As they were when it was submitted: models may have brought others of the same name since."""
    found: list[dict[str, Any]] = service().get(f"/jobs/{job_id}/label-space")["classes"]
    return found


def is_safe(job: Mapping[str, Any]) -> bool:
    """Whether its overlays and masks were asked for in colour-blind colours."""
    return (job["options"].get("overlay") or {}).get("palette") == "colour_blind"


def colours_of(job: Mapping[str, Any]) -> dict[str, str]:
    """Of its classes, as its overlays show them."""
    kind = "colour_blind_hex" if is_safe(job) else "hex"
    return {each["name"]: each[kind] for each in classes_of_job(job["id"])}


def image_view(job: Mapping[str, Any], row: Mapping[str, Any], *, correctable: bool = False) -> View:
    """Of a row of the job's images. A corrected mask is shown as its ground truth."""
    base = f"/pictures/jobs/{job['id']}/{row['index']}"
    there = row.get("artifacts") or {}
    fractions = (row.get("metrics") or {}).get("class_fractions") or {}
    corrected = ((row.get("metrics") or {}).get("ground_truth") or {}).get("source") == "correction"
    return View(
        name=str(row["name"]),
        alt=image_alt(row),
        classes=with_shares(classes_of_job(job["id"]), fractions),
        picture=_picture(base, there),
        mask=f"{base}/mask?as=ids" if "mask" in there else None,
        confidence=f"{base}/confidence" if "confidence" in there else None,
        truth=f"{base}/correction?as=ids" if corrected else None,
        safe=is_safe(job),
        save=f"/corrections/{job['id']}/{row['index']}" if correctable and "mask" in there else None,
        identity=f"{base}|{row.get('model_sha256')}|{sorted(there)}",  # a saved correction does not start it anew
    )


def pair_view(job: Mapping[str, Any], row: Mapping[str, Any], models: tuple[str, str]) -> View:
    """The masks of two of the job's models on one image. Its classes have no shares: they would be one model's."""
    metrics = row["results"][models[0]].get("metrics") or {}
    classes = with_shares(classes_of_job(job["id"]), metrics.get("class_fractions") or {})
    shown = image_alt({**row, "metrics": metrics})
    base = f"/pictures/jobs/{job['id']}/{row['index']}"
    first, second = (f"{base}/mask?{urlencode({'as': 'ids', 'model': model})}" for model in models)
    return View(
        name=str(row["name"]),
        alt=f"{shown} So says {models[0]}, right of the divider; left of it is what {models[1]} says.",
        classes=[each | {"share": None} for each in classes],
        picture=_picture(base, row.get("artifacts") or {}),
        mask=first,
        other=second,
        safe=is_safe(job),
        models=models,
    )


def _picture(base: str, there: Mapping[str, str]) -> str | None:
    """None where the service fetched it from an address: that it forgets."""
    return f"{base}/input" if "input" in there else None


def sample_view(sample: str, space: str) -> View:
    base = f"/pictures/samples/{sample}"
    return View(
        name=sample,
        alt=f"The sample scene {sample} with its ground truth; a legend of its classes follows.",
        classes=with_shares(classes_of(space), {}),
        picture=f"{base}/image",
        truth=f"{base}/mask?as=ids&label_space={space}",
    )


def with_shares(classes: Sequence[Mapping[str, Any]], fractions: Mapping[str, float]) -> list[dict[str, Any]]:
    """Classes that occur first; the share is text."""
    ordered = sorted(classes, key=lambda each: (-fractions.get(each["name"], 0.0), each["id"]))
    return [
        {
            "id": each["id"],
            "name": each["name"],
            "hex": each["hex"],
            "safe": each["colour_blind_hex"],
            "share": percent(fractions.get(each["name"], 0.0)) if fractions else None,
        }
        for each in ordered
    ]


def downloads(job_id: str, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    base = f"/pictures/jobs/{job_id}/{row['index']}"
    return [(f"{name} of {row['name']}", f"{base}/{name}") for name in row.get("artifacts") or {}]
