"""Who may use the pages of a server that others reach: whoever has one of its API keys."""

from __future__ import annotations

import hmac
import time

import streamlit as st

from jobs.settings import load_settings

_ADMITTED = "admitted"
WRONG_KEY_PAUSE_S = 1.0
"""Guessing is slow: one key a second and session."""


def admitted() -> bool:
    """Whether this browser session may go on: no keys are set, only this machine is served, or a key was given."""
    settings = load_settings()
    return settings.loopback or not settings.keys or bool(st.session_state.get(_ADMITTED))


def ask_for_key() -> None:
    """A field for the key, in the place of the page, until it is given."""
    st.title("This server asks for a key")
    with st.form("access", border=False):
        given = st.text_input("API key", type="password", help="Whoever runs this server hands them out.")
        if not st.form_submit_button("Open", type="primary"):
            return
    # every key is compared: equal time
    if sum(hmac.compare_digest(given.strip().encode(), key.encode()) for key in load_settings().keys):
        st.session_state[_ADMITTED] = True
        st.rerun()
    time.sleep(WRONG_KEY_PAUSE_S)
    st.error("This is not one of the keys of this server.", icon=":material/key_off:")
