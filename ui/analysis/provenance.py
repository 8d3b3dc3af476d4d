"""How a result was made: model, weights, options, versions, machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

import streamlit as st

from jobs.state.model import JobView
from pipeline.options import AnalysisOptions
from pipeline.segmentation.identity import DIGEST_KEYS
from ui.analysis.progress import steps_list
from ui.parts import wording
from ui.parts.facts import MODEL_FACT_TITLES, fact_text, facts_list, named_values

_MODEL_FACTS: Final = (
    "title", "source", *DIGEST_KEYS.values(), "checkpoints_sha256", "runtime", "provider", "scope",
    "training_data", "measured_on", "caution", "licence", "citation",
)  # fmt: skip


def show_provenance(provenance: Mapping[str, object], job: JobView) -> None:
    """The record in provenance.json as a list of facts, and the steps with their seconds."""
    st.subheader("Steps")
    with st.container(key="steps"):
        st.html(steps_list(job))
    st.subheader("Record")
    if not provenance:
        st.write("This analysis has no provenance record.")
        return
    record: dict[str, Any] = dict(provenance)
    model = record.get("model") or {}
    facts = {MODEL_FACT_TITLES.get(key, wording.name(key)): model[key] for key in _MODEL_FACTS if model.get(key)}
    facts["Input SHA-256"] = record.get("input_sha256")
    facts |= {
        "Shape models": "; ".join(named_values(shape) for shape in record.get("shape_models") or ()),
        "Options": _options(record.get("options")),
        "Program": named_values(record.get("program")),
        "Versions": named_values(record.get("packages")),
        "Machine": named_values(record.get("host")),
    }
    st.html(facts_list(facts))


def _options(values: Mapping[str, Any] | None) -> str:
    """Options under the titles of the form; one that holds nothing is left out."""
    titles = {item.name: str(item.metadata["title"]) for item in fields(AnalysisOptions)}
    return "; ".join(
        f"{titles.get(key, key)}: {fact_text(value)}" for key, value in (values or {}).items() if value not in ("", [])
    )
