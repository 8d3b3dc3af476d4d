"""Lua scripts of the Redis server, kept in .lua files in this folder."""

from __future__ import annotations

from pathlib import Path


def read_script(name: str) -> str:
    """Source of the script `name`.lua; its header names keys and arguments. Raises FileNotFoundError."""
    return (Path(__file__).with_name(f"{name}.lua")).read_text(encoding="utf-8")
