"""The how-to of studies lists every column, finding, option of a row and file."""

from __future__ import annotations

import re
from pathlib import Path

from studies.columns import COLUMNS, ROW_OPTIONS
from studies.command_line.commands import COMMANDS, parser
from studies.findings import KINDS, Severity
from studies.run import STORE
from studies.tables.write import TABLES

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "study.md").read_text(encoding="utf-8")


def test_every_finding_is_listed_with_its_severity_and_meaning() -> None:
    listed = re.findall(r"^\| `([A-Z_]+)` \| (\w+) \| (.*) \|$", TEXT, re.MULTILINE)
    assert listed == [(code, kind.severity.value, kind.meaning) for code, kind in KINDS.items()]
    assert all(f"| {severity} | {severity.meaning} |" in TEXT for severity in Severity)


def test_every_column_and_option_of_a_row_is_listed() -> None:
    assert all(f"| {column.name} | {column.meaning} |" in TEXT for column in COLUMNS)
    assert all(f"`{name}`" in TEXT for name in ROW_OPTIONS)


def test_every_file_of_a_study_and_every_command_is_listed() -> None:
    assert all(f"`{name}`" in TEXT for name in (*TABLES, f"{STORE}/"))
    assert all(f"kneebox study {name}" in TEXT for name in COMMANDS)
    assert parser("kneebox study").prog == "kneebox study"
