"""Models: what can be run, how well it scores, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from typing import Any

import streamlit as st

from dashboard.parts import tables, words
from dashboard.service import service

WIDE, HIGH, EDGE = 640, 320, 48


def show() -> None:
    models = service().models()
    scored = [each for each in models if each["scores"].get("miou") is not None]
    if scored:
        told = _reading(scored)
        st.image(_scatter(scored), alt=f"Accuracy over size. {told}", width=WIDE)
        st.write(told)
    heads = ["Model", "Version", "Runs as", "Parameters", "Label space", "mIoU", "Pixel accuracy", "Loaded"]
    tables.table("All models", heads, [_row(each) for each in models])
    for each in models:
        with st.expander(f"{each['name']} {each['version']}" + (" (default)" if each["default"] else "")):
            _card(each)


def _row(model: Mapping[str, Any]) -> list[object]:
    scores = model["scores"]
    numbers = [words.percent(scores.get("miou"), 1), words.percent(scores.get("pixel_accuracy"), 1)]
    runs = model.get("runs_as") or "not loaded yet"
    size = f"{model['parameters'] / 1e6:.1f} M"
    what = [model["name"], model["version"], runs, size, model["label_space"]]
    return [*what, *numbers, "yes" if model["loaded"] else "no"]


def _card(model: Mapping[str, Any]) -> None:
    st.write(model["description"])
    st.write(model["dataset"])
    tables.facts(
        [
            ("Architecture", model["architecture"]),
            ("Engines", ", ".join(model["backend"])),
            ("Licence", model["licence"]),
            ("Source", model["source"]),
        ]
    )
    spaces = [(name, len(given["classes"])) for name, given in model["label_spaces"].items()]
    tables.table(f"Label spaces of {model['name']}", ["Label space", "Classes that it can give"], spaces)


def _reading(models: Sequence[Mapping[str, Any]]) -> str:
    return words.extremes("mIoU", [(str(each["name"]), each["scores"]["miou"] * 100) for each in models], " %")


def _scatter(models: Sequence[Mapping[str, Any]]) -> str:
    """mIoU over parameters as SVG; on a ground of its own, so that it reads in light and dark."""
    sizes = [log10(max(1, each["parameters"])) for each in models]
    low, high = min(sizes) - 0.1, max(sizes) + 0.1
    points = []
    for each, size in zip(models, sizes, strict=True):
        x = EDGE + (size - low) / (high - low) * (WIDE - 4 * EDGE)
        y = HIGH - EDGE - each["scores"]["miou"] * (HIGH - 2 * EDGE)
        points.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="7" fill="#1f5fae" stroke="#000"/>')
        points.append(f'<text x="{x + 11:.0f}" y="{y + 5:.0f}">{escape(each["name"])}</text>')
    axes = f'<path d="M{EDGE} {EDGE}V{HIGH - EDGE}H{WIDE - EDGE}" fill="none" stroke="#000"/>'
    names = f'<text x="8" y="{EDGE - 14}">mIoU, 0 to 100 %, as measured on its data set</text>'
    sized = f'<text x="{EDGE}" y="{HIGH - 16}">parameters, {min(sizes):.1f} to {max(sizes):.1f} as powers of ten</text>'
    frame = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}"'
    ground = f'<rect width="{WIDE}" height="{HIGH}" fill="#fff"/>'
    inner = f"{ground}{axes}{names}{sized}{''.join(points)}"
    return f'<svg {frame} font-family="sans-serif" font-size="14">{inner}</svg>'
