"""What every page has: title, navigation, style, disclaimer."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import streamlit as st

from ui.parts import session
from ui.parts.access import admitted, ask_for_access, show_viewer

DISCLAIMER: Final = "Research use only. Not for clinical diagnosis."
ASSETS: Final = Path(__file__).parents[1] / "assets"


@dataclass(frozen=True, kw_only=True)
class PageLink:
    """One line of the navigation; `path` is relative to app.py."""

    path: str
    title: str
    icon: str


HOME: Final = PageLink(path="app.py", title="New analysis", icon=":material/add_circle:")
JOBS: Final = PageLink(path="pages/jobs.py", title="My analyses", icon=":material/list:")
COMPARE: Final = PageLink(path="pages/compare.py", title="Compare", icon=":material/compare_arrows:")
STUDIES: Final = PageLink(path="pages/studies.py", title="Studies", icon=":material/table_view:")
STATISTICS: Final = PageLink(path="pages/statistics.py", title="Statistics", icon=":material/bar_chart:")
METHODS: Final = PageLink(path="pages/methods.py", title="Methods", icon=":material/straighten:")
ANALYSIS: Final = PageLink(path="pages/analysis.py", title="Analysis", icon=":material/monitoring:")
ACCOUNT: Final = PageLink(path="pages/account.py", title="Account", icon=":material/account_circle:")

PAGES: Final = (HOME, JOBS, COMPARE, STUDIES, STATISTICS, METHODS)
"""The navigation, in its order. ANALYSIS is reached by a job's address only, ACCOUNT by those who have signed in."""


class Visitors(enum.Enum):
    """Who may use a page, where keys or a sign-in are required."""

    ADMITTED = "with a key, or signed in"
    SHOWN = "as before, or with a link to what the page shows by its address"
    ALL = "everybody"


def start_page(title: str, visitors: Visitors = Visitors.ADMITTED) -> None:
    """Configure the page and draw the frame. The first call of every page; it ends here for those it is not for."""
    inside = admitted(with_link=True)
    allowed = visitors is Visitors.ALL or admitted(
        with_link=visitors is Visitors.SHOWN
    )  # icon and logo are media, which only admitted browsers may load
    st.set_page_config(
        page_title=f"{title} · Kneebox",
        page_icon=str(ASSETS / "icon.png") if inside else None,
        layout="wide",
        menu_items={"About": f"Kneebox: knee MRI analysis. {DISCLAIMER}"},
    )
    st.html(ASSETS / "style.css")
    if not allowed:
        with narrow():
            ask_for_access()
            end_page()
        st.stop()
    if not inside:
        return
    st.logo(str(ASSETS / "logo.svg"), size="large")
    with st.sidebar:
        for page in PAGES:
            st.page_link(page.path, label=page.title, icon=page.icon, width="stretch")
        show_viewer(ACCOUNT.path)
        st.html(f'<p class="ok-quiet ok-foot">{DISCLAIMER}</p>')


def narrow() -> st.delta_generator.DeltaGenerator:
    """A column of reading width, for pages that are text or a form."""
    return st.container(key="narrow")


def end_page() -> None:
    """The foot of every page."""
    session.write_down()
    st.html(f'<p class="ok-quiet ok-foot">{DISCLAIMER}</p>')


def open_analysis(job_id: str) -> None:
    """Go to a job's page; its address holds all that the page needs."""
    st.switch_page(ANALYSIS.path, query_params={"job": job_id})
