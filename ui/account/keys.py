"""Keys of a person for programs: made, shown once, revoked."""

from __future__ import annotations

from html import escape

import streamlit as st

from jobs import service
from ui.parts import wording
from ui.parts.sharing import show_secret


def show_keys() -> None:
    """The list, and a form for a new key. Raises KneeError."""
    st.subheader("Keys for programs")
    st.html(
        '<p class="ok-quiet">A program sends a key in the header X-API-Key and may do what you may do. A key ends '
        "after a year, or when you revoke it.</p>"
    )
    with st.form("new-key", border=False, clear_on_submit=True):
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        name = left.text_input("What the key is for", placeholder="nightly script", max_chars=100)
        made = right.form_submit_button("Make a key", width="stretch")
    if made:
        show_secret(service.make_key(name), "Copy the key now: it is not shown again.")
    for key in service.my_keys():
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            times = f"Made {wording.date(key.created_at)}, until {wording.date(key.expires_at)}"
            st.html(f'<p class="ok-name">{escape(key.name)}</p><p class="ok-quiet">{times}</p>', width="content")
            if st.button("Revoke", key=f"revoke-{key.id}", icon=":material/key_off:", type="tertiary"):
                service.revoke_key(key.id)
                st.rerun()
