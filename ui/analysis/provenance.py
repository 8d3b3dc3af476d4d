"""How a result came about: model, weights, options, versions, machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from html import escape
from typing import Any, Final

import streamlit as st

from jobs.state.model import JobView
from pipeline.options import AnalysisOptions
from pipeline.segmentation.identity import DIGEST_KEYS
from ui.analysis.progress import steps_list
from ui.parts import wording

_MODEL_FACTS: Final = (
    "title", "source", *DIGEST_KEYS.values(), "checkpoints_sha256", "runtime", "provider", "scope",
    "training_data", "measured_on", "caution", "licence", "citation",
)  # fmt: skip
TITLES: Final = {
    "weights_sha256": "Weights SHA-256",
    "first_pass_sha256": "First pass SHA-256",
    "checkpoints_sha256": "Folds SHA-256",
    "title": "Model",
    "scope": "What it outlines",
}


def show_provenance(provenance: Mapping[str, Any], job: JobView) -> None:
    """The record in provenance.json as a list of facts, and the steps with their seconds."""
    st.subheader("Steps")
    with st.container(key="steps"):
        st.html(steps_list(job))
    st.subheader("Record")
    if not provenance:
        st.write("This analysis left no provenance record.")
        return
    model = provenance.get("model") or {}
    facts = {TITLES.get(key, wording.name(key)): model[key] for key in _MODEL_FACTS if model.get(key)}
    facts["Input SHA-256"] = provenance.get("input_sha256")
    facts |= {
        "Shape models": "; ".join(_pairs(shape) for shape in provenance.get("shape_models") or ()),
        "Options": _options(provenance.get("options")),
        "Versions": _pairs(provenance.get("packages")),
        "Machine": _pairs(provenance.get("host")),
    }
    st.html(facts_list(facts))


def facts_list(facts: Mapping[str, Any]) -> str:
    """Names and values as an HTML definition list; what has no value is left out."""
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(_text(value))}</dd>" for name, value in facts.items() if value)
    return f'<dl class="ok-facts">{lines}</dl>'


def _options(values: Mapping[str, Any] | None) -> str:
    """Options under the titles of the form; one that holds nothing is left out."""
    titles = {item.name: str(item.metadata["title"]) for item in fields(AnalysisOptions)}
    return "; ".join(f"{titles.get(key, key)}: {_text(value)}" for key, value in (values or {}).items() if value != "")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return _pairs(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item).replace("_", " ") for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _pairs(values: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {_text(value)}" for key, value in (values or {}).items())
