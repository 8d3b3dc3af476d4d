"""Addresses on this server for a browser."""

from __future__ import annotations

from typing import Final

from jobs.settings import load_settings

EDIT: Final = "edit"
"""In the address of an analysis: it opens in the edit mode."""

STUDY: Final = "study"
"""In the address of an analysis: the study of which it is a row."""


def address(path: str) -> str:
    """The address of `/path` of this server, below ROOT_PATH."""
    return f"{load_settings().root_path}{path}"
