"""Quality of a result: contact sheet, flags, warnings, confidence, and steps that were not done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from jobs.state.model import JobView
from pipeline.results_tree import OVERLAY
from pipeline.uses import Uses
from ui.parts import tables
from ui.parts.messages import escape


def show_quality(job: JobView, document: Mapping[str, object], uses: Uses, folder: Path) -> None:
    """`document` is the results document, `uses` its flags, `folder` the unpacked results."""
    results: dict[str, Any] = dict(document)
    if uses.flags or job.warnings:
        for flag in uses.flags:
            st.warning(f"**{escape(flag.summary)}**\n\n{escape(flag.message)}", icon=":material/flag:")
        for warning in job.warnings:
            st.warning(escape(warning), icon=":material/info:")
    else:
        st.success("No quality flag was raised. Check the outlines as well.", icon=":material/check:")
    overlay = OVERLAY.at(folder)
    if overlay.exists():
        st.subheader("Outlines at a glance")
        st.image(str(overlay), width="stretch", alt="Slices of the scan with the outlines of bones and cartilage")
    left, right = st.columns(2, gap="large")
    with left:
        _show_confidence(results.get("segmentation") or {})
    with right:
        _show_skipped(job)


def _show_confidence(segmentation: Mapping[str, Any]) -> None:
    frame = tables.confidence(segmentation.get("confidence") or {}, segmentation.get("surface_entropy_bits") or {})
    if frame.empty:
        return
    st.subheader("Confidence of the network")
    st.dataframe(
        frame,
        hide_index=True,
        height="content",
        alt="Mean foreground probability and surface entropy of each structure",
        column_config={
            "Probability": st.column_config.ProgressColumn(
                "Mean probability",
                min_value=0.0,
                max_value=1.0,
                format="%.2f",
                help="Mean of the network's own probability over the structure.",
            ),
            "Entropy": st.column_config.NumberColumn(
                "Entropy at surface (bits)",
                format="%.2f",
                help="Mean entropy within a voxel of the structure's surface: 0 where the network is sure, 1 where it "
                "tosses a coin. Two classes meet there, so values near 1 are usual.",
            ),
        },
    )
    st.caption(
        "These are the network's own probabilities. They are not calibrated: compare them only between analyses by the "
        "same model of similar scans."
    )


def _show_skipped(job: JobView) -> None:
    skipped = [step for step in job.steps if step.state.ended_without_result]
    if not skipped:
        return
    st.subheader("Steps not done")
    for step in skipped:
        st.markdown(f"**{escape(step.title)}**, {step.state}: {escape(step.reason or 'no reason was given')}.")
