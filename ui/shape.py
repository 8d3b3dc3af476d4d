"""The shape fit of an analysis, where a shape model ran."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from ui.provenance import facts_list


def show_shape(shape: dict[str, Any]) -> None:
    """`shape` is shape/shape.json: latent vector, fit error, and a score where a model for it is installed."""
    if not shape:
        st.info("The shape fit left no record.", icon=":material/info:")
        return
    facts = {"Fit error (mm)": shape.get("rms_mm"), "Score": shape.get("score"), "Size": len(shape.get("latent", []))}
    st.html(facts_list(facts))
    latent = pd.DataFrame({"Component": range(1, len(shape.get("latent", [])) + 1), "Value": shape.get("latent", [])})
    st.bar_chart(latent, x="Component", y="Value", height=220)
    st.html('<p class="ok-quiet">The knee as the shape model sees it: one number a component of the latent vector.</p>')
