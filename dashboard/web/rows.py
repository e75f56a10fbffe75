"""Rows of a job's images as the gallery shows them: a tenth of what the service tells of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskmill import Maskmill

ASKED = ("status", "sort", "limit", "cursor")
SHOWN = ("overlay", "input")  # what a card shows, the first that there is


def page_of_cards(server: Maskmill, job_id: str, asked: Mapping[str, object]) -> dict[str, Any]:
    """One page of rows, `items` and `next_cursor`; asked: some of ASKED. Raises APIError, ServerUnreachable."""
    page = server.get(f"/jobs/{job_id}/images", **{name: asked[name] for name in ASKED if name in asked})
    return {"items": [card(row) for row in page["items"]], "next_cursor": page["next_cursor"]}


def card(row: Mapping[str, Any]) -> dict[str, Any]:
    metrics, there = row.get("metrics") or {}, row.get("artifacts") or {}
    told = {
        "picture": next((name for name in SHOWN if name in there), None),
        "error": (row.get("error") or {}).get("code"),
        "miou": (metrics.get("ground_truth") or {}).get("miou"),
        "confidence": metrics.get("mean_confidence"),
        "warnings": len(row.get("warnings") or ()) or None,
    }
    named = {name: row[name] for name in ("index", "name", "status")}
    return named | {name: value for name, value in told.items() if value is not None}
