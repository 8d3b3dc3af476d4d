"""What speaks for and against a result: the contact sheet, flags, warnings, confidence, and what was skipped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from jobs.model import JobView
from pipeline.anatomy import Structure
from ui import wording
from ui.messages import escape


def show_quality(job: JobView, document: dict[str, Any], folder: Path) -> None:
    """`document` is results.json, `folder` the unpacked results."""
    flags = document.get("flags", [])
    if flags or job.warnings:
        for flag in flags:
            place = f"**{escape(wording.name(str(flag.get('structure') or 'Whole knee')))}**: "
            st.warning(f"{place}{escape(str(flag['message']))}", icon=":material/flag:")
        for warning in job.warnings:
            st.warning(escape(warning), icon=":material/info:")
    else:
        st.success("No quality flag was raised. Look at the outlines all the same.", icon=":material/check:")
    overlay = folder / "qc" / "overlay.png"
    if overlay.exists():
        st.subheader("Outlines at a glance")
        st.image(str(overlay), width="stretch", alt="Slices of the scan with the outlines of bones and cartilage")
    left, right = st.columns(2, gap="large")
    with left:
        _show_confidence((document.get("segmentation") or {}).get("confidence") or {})
    with right:
        _show_skipped(job)


def _show_confidence(confidence: dict[str, float]) -> None:
    if not confidence:
        return
    st.subheader("How sure the network was")
    titles = [_title(key, confidence) for key in confidence]
    frame = pd.DataFrame({"Structure": titles, "Mean": list(confidence.values())})
    st.dataframe(
        frame,
        hide_index=True,
        height="content",
        alt="Mean foreground probability of each structure",
        column_config={
            "Mean": st.column_config.ProgressColumn(
                "Mean probability",
                min_value=0.0,
                max_value=1.0,
                format="%.2f",
                help="Mean of the network's own probability over the structure. It is not calibrated: compare it "
                "between analyses of one model, do not read it as a chance of being right.",
            )
        },
    )


def _title(key: str, confidence: Mapping[str, float]) -> str:
    """A network that outlines the tibial cartilage as one names it by its first half; the sides are parted later."""
    one = key == Structure.MEDIAL_TIBIAL_CARTILAGE.key and Structure.LATERAL_TIBIAL_CARTILAGE.key not in confidence
    return "Tibial cartilage" if one else wording.name(key)


def _show_skipped(job: JobView) -> None:
    skipped = [step for step in job.steps if step["state"] in ("skipped", "failed")]
    if not skipped:
        return
    st.subheader("What was not done")
    for step in skipped:
        state = "skipped" if step["state"] == "skipped" else "failed"
        st.markdown(f"**{escape(step['title'])}**, {state}: {escape(step.get('reason') or 'no reason was given')}.")
