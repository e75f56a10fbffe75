"""Tables as HTML that a screen reader understands; bars say their number beside them. All text is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from dashboard.parts.words import counted, percent, plain, shares

# Okabe and Ito's, dark enough on white.
COLOURS = ("#0072b2", "#b34700", "#00735a", "#a3407c", "#4d4d4d", "#7a5c00")
STRIPES = "repeating-linear-gradient({angle}deg, {colour} 0 6px, {stripe} 6px 8px)"


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Cells are text. A table that is wider than the screen scrolls by itself, also by keys."""
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    _wide(caption, f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>")


def facts(pairs: Sequence[tuple[str, object]]) -> None:
    inner = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>" for name, value in pairs)
    st.html(f'<dl class="mm-facts">{inner}</dl>')


def share_bars(caption: str, metrics: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    """Classes by share, with bars in their colours, hatched so that neighbours differ without colour; IoU if known."""
    iou: Mapping[str, float] = (metrics.get("ground_truth") or {}).get("iou") or {}
    rows = []
    for at, (name, share) in enumerate(shares(metrics)):
        ground = STRIPES.format(angle=45 * (at % 4), colour=colours.get(name, "#777"), stripe="rgba(255,255,255,.6)")
        bar = f'<span class="mm-bar" style="width:{max(1, round(share * 100))}%;background:{ground}"></span>'
        score = f"<td>{percent(iou.get(name), 1)}</td>" if iou else ""
        label = f'<th scope="row">{escape(name)}</th><td>{percent(share, 1)}</td>'
        rows.append(f'<tr>{label}{score}<td style="width:45%">{bar}</td></tr>')
    extra = '<th scope="col">IoU</th>' if iou else ""
    head = f'<tr><th scope="col">Class</th><th scope="col">Share</th>{extra}<th scope="col">Bar</th></tr>'
    _wide(caption, f"<thead>{head}</thead><tbody>{''.join(rows)}</tbody>")


def model_bars(caption: str, models: Sequence[str], rows: Sequence[tuple[str, Sequence[float | None]]]) -> None:
    """(class, a share of each model): numbers, and beneath each other bars, told apart by hatching and by colour."""
    grounds = [
        STRIPES.format(angle=45 * (at % 4), colour=COLOURS[at % len(COLOURS)], stripe="rgba(255,255,255,.7)")
        for at in range(len(models))
    ]
    head = "".join(
        f'<th scope="col"><span class="mm-key" style="background:{ground}"></span> {escape(name)}</th>'
        for name, ground in zip(models, grounds, strict=True)
    )
    body = []
    for name, values in rows:
        numbers = "".join(f"<td>{percent(value, 1)}</td>" for value in values)
        bars = "".join(
            f'<span class="mm-bar mm-line" style="width:{round((value or 0) * 100)}%;background:{ground}"></span>'
            for value, ground in zip(values, grounds, strict=True)
        )
        body.append(f'<tr><th scope="row">{escape(name)}</th>{numbers}<td style="width:45%">{bars}</td></tr>')
    heads = f'<tr><th scope="col">Class</th>{head}<th scope="col">Bars</th></tr>'
    _wide(caption, f"<thead>{heads}</thead><tbody>{''.join(body)}</tbody>")


def links(pairs: Sequence[tuple[str, str]]) -> None:
    """(text, address of this page): each is downloaded by the browser, not through the session."""
    told = " · ".join(f'<a href="{escape(address, quote=True)}" download>{escape(text)}</a>' for text, address in pairs)
    st.html(f"<p>{told}</p>")


def reading(text: str) -> None:
    """Of a table or a figure. Names in it are whoever's: no Markdown."""
    st.html(f"<p>{escape(text)}</p>")


def spoken(text: str) -> None:
    """A line that screen readers say when it changes."""
    st.html(f'<p role="status" aria-live="polite">{escape(text)}</p>')


def warned(job: Mapping[str, Any]) -> None:
    """How many images of a job have which warning, where there are some. job: as the service tells it."""
    if warnings := job.get("warnings"):
        st.warning(plain(", ".join(f"{counted(count, 'image')}: {code}" for code, count in warnings.items())))


def _wide(caption: str, inner: str) -> None:
    label = escape(caption, quote=True)
    st.html(
        f'<div class="mm-wide" role="region" tabindex="0" aria-label="{label}">'
        f'<table class="mm"><caption>{escape(caption)}</caption>{inner}</table></div>'
    )
