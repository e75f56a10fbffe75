"""Samples: the scenes that come along, with their ground truth."""

from __future__ import annotations

import streamlit as st

from dashboard import viewer
from dashboard.parts.views import sample_view
from dashboard.service import service


def show() -> None:
    spaces = {each["id"]: each["label_spaces"] for each in service().get("/samples")["items"]}
    samples = list(spaces)
    left, right = st.columns(2)
    asked = st.query_params.get("sample")
    sample = left.selectbox("Scene", samples, index=samples.index(asked) if asked in samples else 0)
    space = right.selectbox("Label space", spaces[sample], index=1)
    st.query_params["sample"] = sample
    viewer.show(sample_view(sample, space), key="sample")
    st.write("These scenes are generated: free of any licence question. *Try* runs a model over them.")
