"""Who else may see an analysis or a study: the project that it belongs to, and links. Only for its owners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import streamlit as st

from jobs import service
from jobs.settings import load_settings
from jobs.state.model import JobView
from pipeline.errors import KneeError
from ui.parts import wording
from ui.parts.messages import show_error

LIFETIMES: Final = {"1 day": 1.0, "7 days": 7.0, "30 days": 30.0, "1 year": 365.0, "until it is revoked": None}
MINE: Final = "Only me"
_WHO_SEES: Final = "All members of a project see what belongs to it; its owners can change and delete it."
_CHOSEN: Final = "chosen-owner"


def show_sharing_of_job(job: JobView) -> None:
    """A button that opens what can be done; nothing without sign-in, and for those who may only see it."""
    if not load_settings().sign_in or not service.may_change_job(job.id):
        return
    _show(
        f"job-{job.id}",
        job.owner,
        "all versions of this analysis",
        links=lambda: service.job_links(job.id),
        share=lambda days: service.share_job(job.id, days),
        move=lambda project: service.move_job(job.id, project),
    )


def show_sharing_of_study(study_id: str) -> None:
    """The same for a study."""
    if not load_settings().sign_in or not service.may_change_study(study_id):
        return
    _show(
        f"study-{study_id}",
        service.study_owner(study_id),
        "this study, its rows and tables",
        links=lambda: service.study_links(study_id),
        share=lambda days: service.share_study(study_id, days),
        move=lambda project: service.move_study(study_id, project),
    )


def choose_owner() -> str:
    """To whom something will belong that is made now: id of a project, or empty for the person alone.

    Asks only people who are owners of a project. The browser tab keeps the choice.
    """
    if not load_settings().sign_in:
        return ""
    names = _owners(service.me())
    if len(names) == 1:
        return ""
    kept = st.session_state.get(_CHOSEN, "")
    chosen = st.selectbox(
        "Belongs to",
        list(names),
        index=list(names).index(kept) if kept in names else 0,
        format_func=names.__getitem__,
        help=_WHO_SEES,
    )
    st.session_state[_CHOSEN] = chosen
    return str(chosen)


def _owners(me: service.Me) -> dict[str, str]:
    """Id -> name, of those to whom a person may give something."""
    return {"": MINE} | {project.id: project.name for project in me.projects if project.role is service.Role.OWNER}


def _show(
    key: str,
    owner: str,
    what: str,
    *,
    links: Callable[[], Sequence[service.Link]],
    share: Callable[[float | None], service.NewLink],
    move: Callable[[str], None],
) -> None:
    with st.popover("Share", icon=":material/share:", key=f"share-{key}"):
        try:
            _show_owner(key, owner, move)
            _show_new_link(key, what, share)
            show_links(links())
        except KneeError as error:
            show_error(error)


def _show_owner(key: str, owner: str, move: Callable[[str], None]) -> None:
    me = service.me()
    if not me.person:
        return
    names = _owners(me)
    present = "" if owner == me.person else owner
    if present not in names:
        return
    chosen = st.selectbox(
        "Belongs to",
        list(names),
        index=list(names).index(present),
        format_func=names.__getitem__,
        key=f"owner-{key}",
        help=_WHO_SEES,
    )
    if chosen != present:
        move(chosen)
        st.rerun()


def _show_new_link(key: str, what: str, share: Callable[[float | None], service.NewLink]) -> None:
    lifetime = st.selectbox("A link is valid for", list(LIFETIMES), index=1, key=f"days-{key}")
    st.html(f'<p class="ok-quiet">Anyone who has the link can see {what}, and change nothing.</p>')
    if st.button("Make a link", icon=":material/add_link:", key=f"make-{key}"):
        show_secret(share(LIFETIMES[lifetime]).address, "Copy the link now: it is not shown again.")


def show_secret(text: str, note: str) -> None:
    """A link or a key, to be copied."""
    st.code(text, language=None, wrap_lines=True)
    st.html(f'<p class="ok-quiet">{note}</p>')


def show_links(links: Sequence[service.Link]) -> None:
    """Each with a button that revokes it."""
    for link in links:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            ends = f"until {wording.date(link.expires_at)}" if link.expires_at else "until it is revoked"
            made = f"{link.role.capitalize()}, made" if link.role else "Made"
            st.html(f'<p class="ok-quiet">{made} {wording.date(link.created_at)}, {ends}</p>', width="content")
            if st.button("Revoke", key=f"revoke-{link.id}", icon=":material/link_off:", type="tertiary"):
                service.end_link(link.id)
                st.rerun()
