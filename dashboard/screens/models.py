"""Models: what can be run, how well it scores, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from typing import Any
from urllib.parse import quote

import streamlit as st

from dashboard.parts import tables, words
from dashboard.service import service

WIDE, HIGH, EDGE = 640, 320, 48
LETTER, LINE = 8, 16  # about as large as a letter of a label is
OF_ITS_OWN = (
    "Each mIoU is its model's own, on the pictures that its card names; maskmill compare scores them on the same."
)


def show() -> None:
    models = service().models()
    scored = [each for each in models if each["scores"].get("miou") is not None]
    measured = {each["name"]: _evaluation(each["name"]) for each in models}
    if scored:
        _figure(scored, measured)
    heads = ["Model", "Version", "Runs as", "Parameters", "Label space", "mIoU", "Pixel accuracy", "Loaded"]
    tables.table("All models", heads, [_row(each) for each in models])
    for each in models:
        with st.expander(words.plain(f"{each['name']} {each['version']}") + (" (default)" if each["default"] else "")):
            _card(each, measured[each["name"]])


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def _evaluation(name: str) -> dict[str, Any]:
    found: dict[str, Any] = service().get(f"/models/{quote(name, safe='')}")["evaluation"] or {}
    return found


def _figure(scored: Sequence[Mapping[str, Any]], measured: Mapping[str, Mapping[str, Any]]) -> None:
    """Accuracy over speed; over size as long as no speed was measured."""
    speeds = {name: rate for name, told in measured.items() if (rate := _fastest(told)) is not None}
    shown = [each for each in scored if each["name"] in speeds] or scored
    values = {each["name"]: speeds.get(each["name"]) or each["parameters"] / 1e6 for each in shown}
    axis = "images per second, forward alone" if speeds else "million parameters"
    points = [(str(each["name"]), values[each["name"]], each["scores"]["miou"]) for each in shown]
    told = [words.extremes("mIoU", [(name, miou * 100) for name, _, miou in points], " %")]
    told.append(OF_ITS_OWN)
    told.append(words.extremes(axis.capitalize(), [(name, value) for name, value, _ in points]))
    if missing := [str(each["name"]) for each in scored if each not in shown]:
        told.append(f"The speed of {', '.join(missing)} was not measured.")
    if not speeds:
        told.append("No speed was measured where these models were made.")
    reading = " ".join(told)
    st.image(scatter(points, axis), alt=f"mIoU over {axis}. {reading}", width=WIDE)
    tables.reading(reading)


def _fastest(evaluation: Mapping[str, Any]) -> float | None:
    rates = [each["images_per_s"] for each in evaluation.get("variants", ()) if each["images_per_s"]]
    return max(rates, default=None)


def _row(model: Mapping[str, Any]) -> list[object]:
    scores = model["scores"]
    numbers = [words.percent(scores.get("miou"), 1), words.percent(scores.get("pixel_accuracy"), 1)]
    runs = model.get("runs_as") or "not loaded yet"
    size = f"{model['parameters'] / 1e6:.1f} M"
    what = [model["name"], model["version"], runs, size, model["label_space"]]
    return [*what, *numbers, "yes" if model["loaded"] else "no"]


def _card(model: Mapping[str, Any], evaluation: Mapping[str, Any]) -> None:
    tables.reading(model["description"])
    tables.reading(model["dataset"])
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
    if variants := evaluation.get("variants"):
        heads = ["Precision", "Engine", "Size", "mIoU", "Images per second", "Note"]
        tables.table(f"Variants of {model['name']}", heads, [_variant(each) for each in variants])


def _variant(variant: Mapping[str, Any]) -> list[object]:
    rate = "–" if variant["images_per_s"] is None else f"{variant['images_per_s']:.1f}"
    size, miou = f"{variant['bytes'] / 1e6:.1f} MB", words.percent(variant["miou"], 1)
    return [variant["precision"], variant["engine"], size, miou, rate, variant["note"] or "–"]


def scatter(points: Sequence[tuple[str, float, float]], axis: str) -> str:
    """(name, value, share) as SVG, the values by their powers of ten; on a ground of its own, for light and dark."""
    powers = [log10(max(1e-3, value)) for _, value, _ in points]
    low, high = min(powers) - 0.1, max(powers) + 0.1
    drawn, labels = [], list[tuple[float, float, float]]()
    for (name, value, share), power in zip(points, powers, strict=True):
        x = EDGE + (power - low) / (high - low) * (WIDE - 4 * EDGE)
        y = HIGH - EDGE - share * (HIGH - 2 * EDGE)
        drawn.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="7" fill="#1f5fae" stroke="#000"/>')
        label = f"{name} ({value:.3g})"
        labels.append(_free_place(x + 11, y + 5, len(label) * LETTER, labels))
        drawn.append(f'<text x="{x + 11:.0f}" y="{labels[-1][1]:.0f}">{escape(label)}</text>')
    axes = f'<path d="M{EDGE} {EDGE}V{HIGH - EDGE}H{WIDE - EDGE}" fill="none" stroke="#000"/>'
    names = f'<text x="8" y="{EDGE - 14}">mIoU, 0 to 100 %, as measured on its data set</text>'
    below = f'<text x="{EDGE}" y="{HIGH - 16}">{escape(axis)}</text>'
    frame = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}"'
    ground = f'<rect width="{WIDE}" height="{HIGH}" fill="#fff"/>'
    inner = f"{ground}{axes}{names}{below}{''.join(drawn)}"
    return f'<svg {frame} font-family="sans-serif" font-size="14">{inner}</svg>'


def _free_place(
    x: float, y: float, width: float, taken: Sequence[tuple[float, float, float]]
) -> tuple[float, float, float]:
    """(left, baseline, width) of a label in pixels: below those that it would lie on."""
    for left, line, wide in sorted(taken, key=lambda each: each[1]):
        if left < x + width and x < left + wide and abs(line - y) < LINE:
            y = line + LINE
    return x, y, width
