"""Addresses on this server for a browser."""

from __future__ import annotations

from jobs.settings import load_settings


def address(path: str) -> str:
    """The address of `/path` of this server, below ROOT_PATH."""
    return f"{load_settings().root_path}{path}"
