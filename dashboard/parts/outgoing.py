"""What leaves a job: its archive, the same for annotation tools, and what webhooks were told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from dashboard.parts import tables, words
from dashboard.parts.choices import choices
from dashboard.service import service
from maskmill import JobHandle


def archives(job: JobHandle) -> None:
    """Links to everything, and to what each annotation tool imports."""
    tables.links([("Archive of everything", f"/archives/{job.id}")])
    with st.expander("For annotation tools"):
        chosen = {
            "instances": st.checkbox("Tell regions that hang together apart", key=f"instances-{job.id}"),
            "pictures": st.checkbox("With the pictures", key=f"pictures-{job.id}"),
        }
        tables.links([(text, export_address(job.id, tool, chosen)) for tool, text in choices()["exports"].items()])
        st.write("Corrections are part of them, where there are some. Of several models each has a folder.")


def export_address(job_id: str, tool: str, chosen: Mapping[str, bool]) -> str:
    told = {name: "true" for name, is_chosen in chosen.items() if is_chosen}
    return f"/archives/{job_id}?{urlencode({'export': tool, **told})}"


def deliveries(job: JobHandle) -> None:
    """Every message to the webhook, what came back, and a button that sends one again."""
    found = list(job.deliveries())
    if not found:
        return
    heads = ["Event", "To", "Status", "Attempts", "Last answer", "Next attempt (UTC)"]
    tables.table("Deliveries to the webhook", heads, [delivery_row(each) for each in found])
    labels = {f"{each['event']}, {words.moment(each['created_at'])}": each["id"] for each in found}
    with st.form(f"again-{job.id}"):
        chosen = st.selectbox("Delivery", list(labels))
        if st.form_submit_button("Send again"):
            service().webhooks.redeliver(labels[chosen])
            st.rerun()


def delivery_row(delivery: Mapping[str, Any]) -> list[object]:
    tries = delivery.get("attempts") or []
    last = "–" if not tries else tries[-1].get("status_code") or tries[-1].get("error") or "–"
    waits = delivery["status"] == "pending"
    due = words.moment(delivery.get("next_attempt_at")) if waits else "–"
    return [delivery["event"], delivery["url"], delivery["status"], len(tries), last, due]
