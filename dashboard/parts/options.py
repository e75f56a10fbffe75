"""Options of a job as fields of a form. What the service says against one stands beneath its field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.parts.choices import choices
from dashboard.parts.words import plain

OWN = "the model's own"
SAME = "the same"
BY_SIZE = "by size"
AUTO = "what the file says"


class Fields:
    """By the names that the API has for options, with a dot within a section: `tile.size`."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._notes: dict[str, DeltaGenerator] = {}

    def add(self, place: DeltaGenerator, name: str, value: object) -> None:
        """value: of the field that was just drawn in `place`; None, or an empty one, leaves it to the service."""
        self._values[name] = None if value in ("", []) else value
        self._notes[name] = place.empty()

    def options(self) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for name, value in self._values.items():
            section, _, inner = name.rpartition(".")
            if value is not None:
                (told.setdefault(section, {}) if section else told)[inner] = value
        return told

    def tell(self, faults: Iterable[Mapping[str, Any]]) -> None:
        """faults: as the service lists them, each with `field` and `message`."""
        for fault in faults:
            if note := self._notes.get(fault["field"]):
                note.error(plain(fault["message"]))


def usual(fields: Fields, models: Iterable[Mapping[str, Any]], spaces: list[str]) -> None:
    """Models, label spaces, artifacts, priority."""
    left, middle, right = st.columns(3)
    names, default = [each["name"] for each in models], [each["name"] for each in models if each["default"]]
    several = left.multiselect("Models", names, default=default, help="Several are compared with each other")
    fields.add(left, "models", several)
    fields.add(middle, "label_space", _unless(OWN, middle.selectbox("Label space", [OWN, *spaces])))
    truth = right.selectbox("What the ids of the ground truth mean", [SAME, *spaces])
    fields.add(right, "mask_label_space", _unless(SAME, truth))
    left, right = st.columns([2, 1])  # a row of their own: the focus goes line by line
    artifacts = left.multiselect("Artifacts", choices()["artifacts"], default=["overlay", "mask"])
    fields.add(left, "artifacts", artifacts)
    fields.add(right, "priority", _unless(BY_SIZE, right.selectbox("Priority", [BY_SIZE, *choices()["priorities"]])))


def more(fields: Fields) -> None:
    with st.expander("More options"):
        _pictures(fields)
        _results(fields)


def _pictures(fields: Fields) -> None:
    """How they are read."""
    size, overlap, every, depth = st.columns(4)
    told = size.number_input("Tile size", value=None, step=64, help="In pixels, for large pictures. Empty: no tiles")
    fields.add(size, "tile.size", told)
    told = overlap.number_input("Overlap of tiles", value=None, step=16, help="In pixels, at most half of the size")
    fields.add(overlap, "tile.overlap", told)
    fields.add(every, "every", every.text_input("A frame of a film each", help="Like 500ms, 1s or 2min").strip())
    told = depth.selectbox("Bits of 16-bit pictures", [AUTO, *choices()["bit_depths"]])
    fields.add(depth, "bit_depth", _unless(AUTO, told))


def _results(fields: Fields) -> None:
    """How they look, how long they stay, and who hears of them."""
    palette, form, opacity, certain = st.columns(4)
    fields.add(palette, "overlay.palette", palette.selectbox("Colours", choices()["palettes"]))
    fields.add(form, "overlay.format", form.selectbox("Overlays as", choices()["overlay_formats"]))
    shown = opacity.number_input("Opacity of overlays, in percent", 0, 100, 50, step=5)
    fields.add(opacity, "overlay.opacity", shown / 100)
    least = certain.number_input(
        "Least confidence, in percent", 0, 100, 0, step=5, help="Pixels that are less certain become void"
    )
    fields.add(certain, "min_confidence", least / 100 or None)
    drawn, tolerance, area = st.columns(3)
    named = drawn.text_input("Classes to draw, with commas", help="In overlays, polygons and COCO. Empty: all")
    fields.add(drawn, "classes", [name for each in named.split(",") if (name := each.strip())])
    told = tolerance.number_input("Tolerance of polygons, in pixels", 0.0, 100.0, 0.0, step=0.5)
    fields.add(tolerance, "polygons.tolerance", told or None)
    told = area.number_input("Least area of polygons, in pixels", 0, value=0, step=10)
    fields.add(area, "polygons.min_area", told or None)
    webhook, hours = st.columns([2, 1])
    fields.add(webhook, "webhook.url", webhook.text_input("Webhook", help="An address that hears of its end").strip())
    kept = hours.number_input("Delete after hours", value=None, step=1.0, help="Empty: as the service has it")
    fields.add(hours, "expires_in", None if kept is None else round(kept * 3600))
    place = st.container()
    known = place.checkbox("Earlier results of the same picture may be the answer", value=True)
    fields.add(place, "reuse", None if known else False)


def _unless(own: str, chosen: object) -> object:
    return None if chosen == own else chosen
