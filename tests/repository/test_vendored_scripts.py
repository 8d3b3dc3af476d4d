"""Vendored scripts and styles match their tables."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PERMISSIVE = {"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "CC0-1.0"}
FOLDERS = {
    ROOT / "ui" / "assets" / "vendor": PERMISSIVE,
    ROOT / "tests" / "support" / "vendor": PERMISSIVE | {"MPL-2.0"},  # never served, never changed
}
"""Folder -> accepted licences."""

ROW = re.compile(
    r"^\| (?P<file>\S+\.(?:js|css|txt)) \| (?P<licence>[^|]+) \| (?P<bytes>\d+) \| (?P<sha256>[0-9a-f]{64}) \|",
    re.MULTILINE,
)
ROWS = {
    folder / row["file"]: row
    for folder in FOLDERS
    for row in ROW.finditer((folder / "README.md").read_text(encoding="utf-8"))
}


def test_every_file_has_its_row() -> None:
    files = {path for folder in FOLDERS for path in folder.iterdir() if not path.name.endswith(".d.ts")}
    assert set(ROWS) == files - {folder / "README.md" for folder in FOLDERS}


def test_types_of_a_script_have_its_version() -> None:
    types = {path for folder in FOLDERS for path in folder.glob("*.d.ts")}
    assert {path.with_name(path.name.removesuffix(".d.ts") + ".js") for path in types} <= set(ROWS)


@pytest.mark.parametrize("path", sorted(ROWS), ids=lambda path: path.name)
def test_a_file_has_the_digest_size_and_licence_that_its_row_states(path: Path) -> None:
    data, row = path.read_bytes(), ROWS[path]
    assert len(data) == int(row["bytes"])
    assert hashlib.sha256(data).hexdigest() == row["sha256"]
    assert row["licence"].strip() in FOLDERS[path.parent]
    assert re.search(r"-\d+(\.\d+)+\.", path.name), "the name carries the version: browsers keep it for a year"
