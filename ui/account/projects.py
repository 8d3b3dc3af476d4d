"""Projects of a person: members, invitations, roles."""

from __future__ import annotations

from html import escape

import streamlit as st

from jobs import service
from jobs.service import Role
from ui.parts.messages import escape as plain
from ui.parts.sharing import show_links, show_secret


def show_projects(me: service.Me) -> None:
    """Each project with its members, and a form for a new one. Raises KneeError."""
    st.subheader("Projects")
    st.html(
        '<p class="ok-quiet">Analyses and studies of a project are seen and downloaded by all of its members. Owners '
        "also change and delete them, and invite others.</p>"
    )
    shown = st.query_params.get("project", "")
    for project in me.projects:
        with st.expander(f"{plain(project.name)} · {project.role}", expanded=project.id == shown):
            _show_project(me, project)
    with st.form("new-project", border=False, clear_on_submit=True):
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        name = left.text_input("Name of a new project", max_chars=64)
        if right.form_submit_button("Make a project", width="stretch"):
            st.query_params["project"] = service.create_project(name).id
            st.rerun()


def _show_project(me: service.Me, project: service.Membership) -> None:
    owns = project.role is Role.OWNER
    for member in service.members(project.id):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            name = f'<p class="ok-name">{escape(member.name)}</p><p class="ok-quiet">{escape(member.email)}</p>'
            st.html(name, width="content")
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
                _show_member(me, project, member, owns=owns)
    if not owns:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        role = st.selectbox("Invite as", [Role.READER, Role.OWNER], key=f"role-{project.id}", width=160)
        invited = st.button("Make an invitation", icon=":material/person_add:", key=f"invite-{project.id}")
    if invited:
        made = service.invite(project.id, role, service.INVITATION_DAYS)
        show_secret(made.address, f"For one person, within {service.INVITATION_DAYS} days. It is not shown again.")
    show_links(service.invitations(project.id))
    if st.button("Delete the project", icon=":material/delete:", type="tertiary", key=f"delete-{project.id}"):
        service.remove_project(project.id)
        st.rerun()


def _show_member(me: service.Me, project: service.Membership, member: service.Member, *, owns: bool) -> None:
    key = f"{project.id}-{member.person}"
    if not owns:
        st.badge(member.role, color="gray")
    else:
        roles = list(Role)
        chosen = st.selectbox(
            f"Role of {member.name}",
            roles,
            index=roles.index(member.role),
            key=f"member-{key}-{member.role}",
            label_visibility="collapsed",
            width=130,
        )
        if chosen is not member.role:
            service.set_role(project.id, member.person, chosen)
            st.rerun()
    mine = member.person == me.person
    if (mine or owns) and st.button("Leave" if mine else "Remove", key=f"out-{key}", type="tertiary"):
        (service.leave_project(project.id) if mine else service.remove_member(project.id, member.person))
        st.rerun()
