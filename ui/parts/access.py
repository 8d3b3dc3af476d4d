"""Who may use the pages of a server that others reach: whoever has one of its API keys."""

from __future__ import annotations

import streamlit as st

from jobs.settings import PASS_COOKIE, load_settings
from ui.parts.components import mount

FORM = """
<form>
  <label for="key">API key</label>
  <div class="row"><input id="key" type="password" autocomplete="current-password" required>
  <button type="submit">Open</button></div>
  <p class="note">Whoever runs this server hands them out.</p>
  <p class="problem" role="alert"></p>
</form>
"""


def admitted() -> bool:
    """Whether this browser may go on: no keys are asked for, or it was let in with one."""
    settings = load_settings()
    return settings.pages_open or st.context.cookies.get(PASS_COOKIE) in settings.passes


def ask_for_key() -> None:
    """A field for the key, in the place of the page: the browser sends it, and loads the page again."""
    st.title("This server asks for a key")
    mount("access", html=FORM)
