"""Access to the pages of a publicly reachable server: an API key is required."""

from __future__ import annotations

import streamlit as st

from jobs import service
from jobs.settings import ACCESS_COOKIE, load_settings
from ui.parts.components import mount

FORM = """
<form>
  <label for="key">API key</label>
  <div class="row"><input id="key" type="password" autocomplete="current-password" required>
  <button type="submit">Open</button></div>
  <p class="note">The operator of this server provides the keys.</p>
  <p class="problem" role="alert"></p>
</form>
"""


def admitted() -> bool:
    """Whether this browser has access: no keys are required, or it has sent a valid one."""
    settings = load_settings()
    return settings.pages_open or service.accept_pass(str(st.context.cookies.get(ACCESS_COOKIE, "")))


def ask_for_key() -> None:
    """A field for the key instead of the page. The browser sends the key and reloads the page."""
    st.title("This server requires a key")
    mount("access", html=FORM)
