"""The form for a new study: scans that are dropped, a folder of the operator, or a manifest of files in it."""

from __future__ import annotations

from html import escape
from typing import Any, Final

import pandas as pd
import streamlit as st

from jobs import service
from jobs.settings import load_settings
from pipeline.errors import KneeError
from ui.parts.frame import STUDIES
from ui.parts.messages import show_error, show_failure
from ui.parts.option_fields import CONSENT, MODEL, advanced_options, draw_options, unavailable
from ui.parts.sharing import choose_owner
from ui.studies.drop import ask_for_scans
from ui.studies.manifest_file import ask_for_manifest
from ui.studies.retention import ask_for_days

DROPPED, FOLDER, MANIFEST = "Scans from this computer", "Folder of this server", "CSV manifest"
COLUMNS: Final = ("subject", "visit", "side", "time", "sex", "age", "group")
"""Of a row; `group` is an example of a column that is kept as it is."""


def show_form() -> None:
    """Where the scans are, their rows, and the options. A study opens when its check has begun."""
    st.subheader("New study")
    folders = service.studies.data_folders()
    kind = st.segmented_control(
        "Where the scans are",
        [DROPPED, FOLDER, MANIFEST] if folders else [DROPPED],
        default=DROPPED,
        required=True,
    )
    if not folders:
        st.html(
            '<p class="ok-quiet">For scans that are on the server already, the operator names folders in the setting '
            "STUDY_DATA_DIRS.</p>"
        )
    values = _dropped() if kind == DROPPED else _in_folder(folders, with_manifest=kind == MANIFEST)
    if values is not None:
        _options_and_start(values)


def _dropped() -> dict[str, Any] | None:
    """Values of a request; None until scans are uploaded."""
    arrived = ask_for_scans(load_settings().max_upload_bytes)
    if not arrived:
        return None
    known = st.session_state.setdefault("study-rows", {})
    names = [scan["filename"] for scan in arrived]
    pattern = st.text_input(
        "Pattern of the names",
        placeholder="{subject}_{visit}_{side}",
        help="Fields in braces, all else as in the names. Empty: common patterns are tried.",
    )
    found, read_as = service.studies.rows_of_names(names, pattern)
    words = f"{len(arrived):,} scans. Read as {read_as}." if read_as else "The names have no common pattern."
    st.html(f'<p class="ok-quiet">{escape(words)} Correct the rows here.</p>')
    frame = pd.DataFrame(
        [{"scan": name} | {column: found[name].get(column, "") for column in COLUMNS} for name in names]
    )
    edited = st.data_editor(frame, hide_index=True, disabled=["scan"], key=f"rows-{len(names)}-{pattern}-{len(known)}")
    rows = edited.fillna("").astype(str).to_dict("records")
    scans = {
        scan["scan_id"]: {column: row[column] for column in COLUMNS if row[column]} | {"subject": row["subject"]}
        for scan, row in zip(arrived, rows, strict=True)
    }
    return {"scans": scans}


def _in_folder(folders: list[str], *, with_manifest: bool) -> dict[str, Any] | None:
    left, right = st.columns(2)
    folder = left.selectbox("Folder", folders)
    below = right.text_input("Folder below it", placeholder="baseline", max_chars=200).strip().strip("/")
    place = f"{folder}/{below}" if below else str(folder)
    if with_manifest:
        sent = ask_for_manifest(service.studies.MOST_MANIFEST_BYTES)
        if sent is None:
            return None
        try:
            text = service.studies.manifest_text(sent.content)
        except KneeError as error:
            show_error(error)
            return None
        lines = sum(bool(line.strip()) for line in text.splitlines()) - 1
        st.html(f'<p class="ok-quiet">{escape(sent.name)}: {max(lines, 0):,} rows</p>')
        return {"folder": place, "manifest": text}
    left, right = st.columns(2)
    pattern = left.text_input("Pattern of the names", placeholder="{subject}_{visit}_{side}", max_chars=200).strip()
    only = right.text_input("Only paths like", placeholder="*DESS*", max_chars=200).strip()
    return {"folder": place, "pattern": pattern, "only": only}


def _options_and_start(values: dict[str, Any]) -> None:
    models = service.models()
    project = choose_owner()
    with st.form("study", border=False):
        name = st.text_input("Name of the study", max_chars=64)
        chosen = draw_options(models)
        with st.expander("More options"):
            advanced = advanced_options()
            compact = st.checkbox(
                "Keep only what the tables need",
                help="Tables, label map and outlines of each knee; no surfaces, maps and report. Less disk space.",
            )
            days = ask_for_days()
        if not st.form_submit_button("Check the rows", type="primary", icon=":material/fact_check:"):
            return
    if reason := unavailable(models, chosen[MODEL]):
        show_failure(reason, "Choose another model.")
        return
    try:
        study = service.studies.create(
            service.studies.StudyRequest(
                name=name,
                options=chosen | advanced | {CONSENT: False},
                compact=compact,
                expiry_days=days,
                **values,
            )
        )
        if project:
            service.move_study(study.id, project)
    except KneeError as error:
        show_error(error)
        return
    st.switch_page(STUDIES.path, query_params={"study": study.id})
