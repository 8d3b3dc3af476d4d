"""Access to the pages: an API key on a publicly reachable server; a sign-in or a link where people sign in."""

from __future__ import annotations

from html import escape
from typing import Final

import streamlit as st

from jobs import service
from jobs.access import doors
from jobs.access.doors import NOBODY, OPERATOR, Viewer
from jobs.settings import ACCESS_COOKIE, load_settings
from ui.parts.components import mount

FORM: Final = """
<form>
  <label for="key">API key</label>
  <div class="row"><input id="key" type="password" autocomplete="current-password" required>
  <button type="submit">Open</button></div>
  <p class="note">The operator of this server provides the keys.</p>
  <p class="problem" role="alert"></p>
</form>
"""

SIGN_IN: Final = '<a class="do">Sign in</a>'
SIGN_OUT: Final = '<button type="button">Sign out</button>'


def viewer_of_page() -> Viewer:
    """Who looks at the page of this thread: asked at every operation, so that a session can end at any time."""
    cookies = st.context.cookies
    found = doors.viewer_in_session(str(cookies.get(doors.cookie_name(), "")))
    if found.known:
        return found
    return OPERATOR if service.accept_pass(str(cookies.get(ACCESS_COOKIE, ""))) else NOBODY


doors.ask_with(viewer_of_page)


def admitted(*, with_link: bool) -> bool:
    """Whether this browser has access to a page.

    with_link: to a page that shows something by its address, for which a link to that is enough
    """
    settings = load_settings()
    if settings.sign_in:
        who = doors.viewer()
        return bool(who.operator or who.person or (with_link and who.links))
    return settings.pages_open or service.accept_pass(str(st.context.cookies.get(ACCESS_COOKIE, "")))


def ask_for_access() -> None:
    """Instead of the page: a button to sign in, or a field for the key; the browser then comes back to the page."""
    settings = load_settings()
    if not settings.sign_in:
        st.title("This server requires a key")
        mount("access", html=FORM)
        return
    st.title("Sign in")
    shared = " You can see what a link has shown you; everything else needs a sign-in." if doors.viewer().links else ""
    st.html(f'<p class="ok-lead">Analyses and studies on this server belong to people and projects.{shared}</p>')
    mount("sign_in", html=SIGN_IN, key="sign-in")
    if settings.keys:
        with st.expander("Use a key of the operator"):
            mount("access", html=FORM)


def show_viewer(account: str) -> None:
    """Who has signed in, for the side bar. account: path of the page about them"""
    if not load_settings().sign_in:
        return
    me = service.me()
    if me.person:
        st.html(f'<p class="ok-quiet ok-foot">Signed in as <b>{escape(me.name)}</b></p>')
        st.page_link(account, label="Account", icon=":material/account_circle:", width="stretch")
        mount("sign_out", html=SIGN_OUT, key="sign-out")
    elif not me.operator:
        st.html('<p class="ok-quiet ok-foot">You see what was shared with you.</p>')
        mount("sign_in", html=SIGN_IN, key="sign-in")
