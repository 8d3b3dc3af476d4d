"""Which analyses this browser started or opened: ids only, kept in the browser; the jobs are asked from the service."""

from __future__ import annotations

from typing import Final

import streamlit as st

from jobs import service
from ui.parts.components import mount

_NEW: Final = "opened_jobs"
_GONE: Final = "forgotten_jobs"


def remember(job_id: str) -> None:
    """Put a job at the top of the browser's list."""
    st.session_state[_NEW] = [job_id, *(known for known in _ids(_NEW) if known != job_id)]
    st.session_state[_GONE] = [known for known in _ids(_GONE) if known != job_id]


def forget(job_id: str) -> None:
    """Take a job off the browser's list."""
    st.session_state[_NEW] = [known for known in _ids(_NEW) if known != job_id]
    st.session_state[_GONE] = [job_id, *_ids(_GONE)]


def write_down() -> None:
    """Hand what is new to the browser. Once a page, by its frame. Jobs of people are listed by the service instead."""
    if (_ids(_NEW) or _ids(_GONE)) and not service.viewer().person:
        _mount("memory-writer", tell=False)


def started() -> list[str] | None:
    """Job ids, the newest first; None in the first moments of a page, until the browser has answered.

    Where people sign in: those of the person and of their projects.
    """
    if service.viewer().person:
        left_out = _ids(_GONE)
        return list(dict.fromkeys(job_id for job_id in (*_ids(_NEW), *service.mine()) if job_id not in left_out))
    stored = _mount("memory", tell=True)
    if stored is None:
        return _ids(_NEW) or None
    gone = {*_ids(_NEW), *_ids(_GONE)}
    return [*_ids(_NEW), *(job_id for job_id in stored if job_id not in gone)]


def _mount(key: str, *, tell: bool) -> list[str] | None:
    known = st.session_state.get(f"{key}-ids")
    data = {"remember": _ids(_NEW), "forget": _ids(_GONE), "tell": tell, "known": known}
    state = mount("memory", key=key, data=data, default={"ids": None}, on_ids_change=_ignore)
    stored: list[str] | None = state.ids
    if tell:
        st.session_state[f"{key}-ids"] = stored
    return stored


def _ids(key: str) -> list[str]:
    return list(st.session_state.get(key, ()))


def _ignore() -> None:
    """A state that can be set needs a callback; the run that follows reads it."""
