"""Opens a link that somebody has shared: to an analysis, a study, or a project."""

from __future__ import annotations

from typing import Final

import streamlit as st

from ui.parts.components import mount
from ui.parts.frame import Visitors, end_page, narrow, start_page

CONTENT: Final = """
<p data-part="text" role="status">Somebody has shared an analysis, a study or a project with you.</p>
<button type="button" class="do" data-part="open" hidden>Open</button>
<a class="do" data-part="sign-in" hidden>Sign in</a>
"""

start_page("Shared link", Visitors.ALL)
with narrow():
    st.title("Shared link")
    mount("link", html=CONTENT, key="link")
    end_page()
