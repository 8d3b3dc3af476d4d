"""The shape fits of an analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd
import streamlit as st

from ui.parts.charts import LATERAL
from ui.parts.facts import facts_list

KINDS: Final = {"bone_and_cart": "Bone and cartilage", "bone_only": "Bone alone"}

NOTE: Final = (
    "The femur in the coordinates of the shape model: one number per component of the latent vector. Numbers of "
    "different models cannot be compared."
)
SCORE_NOTE: Final = (
    "B-scores from this fit have not been compared with those of the model's own software, which searches for the "
    "vector in another way."
)


def show_shapes(shapes: Sequence[Mapping[str, object]]) -> None:
    """Each is the parameter file of one shape model: latent vector, fit errors, B-score where one is installed."""
    if not any(shapes):
        st.info("The shape fit has no record.", icon=":material/info:")
        return
    for parameters in filter(None, shapes):
        shape: dict[str, Any] = dict(parameters)
        st.subheader(KINDS.get(str(shape.get("kind")), "Shape"))
        facts = {
            "Model": shape.get("model"),
            "B-score": _number(shape.get("Bscore")),
            "Bone, mean distance (mm)": _number(shape.get("assd_bone_mm")),
            "Cartilage, mean distance (mm)": _number(shape.get("assd_cartilage_mm")),
        }
        st.html(facts_list({name: value for name, value in facts.items() if value is not None}))
        numbers = shape.get("latent", [])
        latent = pd.DataFrame({"Component": range(1, len(numbers) + 1), "Value": numbers})
        st.bar_chart(latent, x="Component", y="Value", height=220, color=LATERAL)
    scored = any("Bscore" in shape for shape in shapes)
    st.html(f'<p class="ok-quiet">{NOTE} {SCORE_NOTE if scored else ""}</p>')


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"
