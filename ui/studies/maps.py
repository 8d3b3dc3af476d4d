"""Mean maps of one group of knees, or of two with their difference, on the reference bone and flat."""

from __future__ import annotations

from html import escape
from typing import Final

import pandas as pd
import streamlit as st

from jobs import service
from pipeline.anatomy import Structure
from pipeline.errors import KneeError
from studies.maps.names import BONES, EXPLORATORY, LEFT_OUT, PICTURE, SCENE
from studies.maps.request import ALL, MapRequest
from ui.parts.addresses import address
from ui.parts.messages import show_error, show_failure
from ui.viewers.scene import show_scene

POLL_S: Final = 1.0
ALL_KNEES: Final = "(all knees)"
NO_DIFFERENCE: Final = "(none)"

MEANINGS: Final = {PICTURE: "all maps as one picture", LEFT_OUT: "rows that do not contribute, with the reason"} | {
    f"{bone.key}_maps.{kind}": f"{bone.title.lower()}: {what}"
    for bone in BONES
    for kind, what in (("npz", "arrays at the points of the reference"), ("csv", "the same as text"))
}


def show_maps(study: service.studies.StudyView) -> None:
    """The choice of groups, then the maps that were made last."""
    if not study.complete:
        st.info("Maps can be made when the first rows have ended.", icon=":material/hourglass_empty:")
        return
    if study.compact:
        st.info("This study keeps only what the tables need, so its knees have no maps.", icon=":material/info:")
        return
    st.html(
        '<p class="ok-quiet">Mean, standard deviation and number of knees at each point of the reference bone; of two '
        f"groups the difference and Welch's t. {EXPLORATORY}: t shows where to look, and is no test.</p>"
    )
    request = _choose(service.studies.map_choices(study.id))
    key = f"maps-{study.id}"
    if st.button("Make the maps", type="primary", icon=":material/layers:"):
        try:
            st.session_state[key] = service.studies.ask_for_maps(study.id, request).number
        except KneeError as error:
            show_error(error)
    if key in st.session_state:
        _result(study, st.session_state[key])


def _choose(choices: service.studies.MapChoices) -> MapRequest:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        figure = st.selectbox(
            "Quantity", list(choices.figures), format_func=choices.figures.__getitem__, width=210, key="map-figure"
        )
        visit = ALL
        if len(choices.visits) > 1:
            visit = st.selectbox("Visit", list(choices.visits), width=105, key="map-visit")
        columns = [ALL, *choices.columns]
        column = st.selectbox("Groups", columns, format_func=_column_title, width=150, key="map-column")
        if column == ALL:
            return MapRequest(figure=figure, visit=visit)
        values = list(choices.columns[column])
        first = st.selectbox("First group", values, width=150, key=f"map-first-{column}")
        others = [ALL, *(value for value in values if value != first)]
        second = st.selectbox(
            "Second group",
            others,
            index=min(1, len(others) - 1),
            format_func=lambda value: value or NO_DIFFERENCE,
            width=150,
            key=f"map-second-{column}",
        )
    return MapRequest(figure=figure, visit=visit, column=column, first=first, second=second)


def _column_title(name: str) -> str:
    return name or ALL_KNEES


def _line(href: str, name: str) -> str:
    return f'<li><a href="{href}" download="{name}">{name}</a><span>{escape(MEANINGS[name])}</span></li>'


def _result(study: service.studies.StudyView, number: int) -> None:
    try:
        view = service.studies.maps_view(study.id, number)
    except KneeError as error:
        show_error(error)
        return
    if view.problem:
        show_failure(view.problem)
    elif view.ready:
        _show(study, view)
    else:
        _wait(study.id, number)


@st.fragment(run_every=POLL_S)
def _wait(study_id: str, number: int) -> None:
    view = service.studies.maps_view(study_id, number)
    if view.ready or view.problem:
        st.rerun()
    st.html('<p class="ok-quiet" role="status">A worker makes the maps …</p>')


def _show(study: service.studies.StudyView, view: service.studies.MapView) -> None:
    if view.outdated:
        st.warning("The study has changed since these maps were made. Make them again.", icon=":material/update:")
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Group": group.title,
                    "Knees": group.knees,
                    "Subjects": group.subjects,
                    **{Structure[bone.upper()].title: number for bone, number in group.maps.items()},
                    "Left out": group.left_out,
                }
                for group in view.groups
            ]
        ),
        hide_index=True,
        column_config={
            "Left out": st.column_config.NumberColumn(help=f"Rows that lack a map of a bone or more: {LEFT_OUT}.")
        },
    )
    if any(group.subjects < group.knees for group in view.groups):
        st.html(
            '<p class="ok-quiet">Both knees of a subject are not independent: n and t count them as if they were.</p>'
        )
    base = f"/api/studies/{study.id}/maps/{view.number}"
    stamp = "-".join(str(number) for group in view.groups for number in (group.knees, *group.maps.values()))
    show_scene(address(f"{base}/{SCENE}?v={stamp}"), f"map-scene-{view.number}-{stamp}")
    lines = "".join(_line(address(f"{base}/{name}"), name) for name in view.files)
    st.html(f'<div class="ok-files"><ul>{lines}</ul></div>')
    with st.expander("All maps as one picture"):
        st.image(str(service.studies.map_file(study.id, view.number, PICTURE)), alt="Flat maps of the groups")
