"""The person who has signed in: projects with their members, and keys for programs."""

from __future__ import annotations

import streamlit as st

from jobs import service
from pipeline.errors import KneeError
from ui.account.keys import show_keys
from ui.account.projects import show_projects
from ui.parts.facts import facts_list
from ui.parts.frame import end_page, narrow, start_page
from ui.parts.messages import show_error

start_page("Account")
with narrow():
    st.title("Account")
    try:
        me = service.me()
        if me.person:
            st.html(facts_list({"Name": me.name, "E-mail": me.email or "not given by the provider"}))
            show_projects(me)
            show_keys()
        else:
            st.info("The operator's key has no account. Sign in to have projects and keys.", icon=":material/key:")
    except KneeError as error:
        show_error(error)
    end_page()
