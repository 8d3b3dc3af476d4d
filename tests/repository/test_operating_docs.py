"""All settings and commands for operators are documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.command_line.commands import COMMANDS
from jobs.settings import Settings

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_explained(name: str) -> None:
    assert f"`{name.upper()}`" in TEXT


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_explained(command: str) -> None:
    assert f"| `{command}" in TEXT
