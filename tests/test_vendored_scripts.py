"""Scripts of others are what their table says they are."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

VENDOR = Path(__file__).resolve().parent.parent / "ui" / "assets" / "vendor"
ROW = re.compile(
    r"^\| (?P<file>\S+\.js) \| (?P<licence>[^|]+) \| (?P<bytes>\d+) \| (?P<sha256>[0-9a-f]{64}) \|", re.MULTILINE
)
ROWS = {row["file"]: row for row in ROW.finditer((VENDOR / "README.md").read_text(encoding="utf-8"))}
PERMISSIVE = {"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "CC0-1.0"}


def test_every_script_has_its_row() -> None:
    assert set(ROWS) == {path.name for path in VENDOR.iterdir()} - {"README.md"}


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_script_has_the_digest_size_and_licence_that_its_row_states(name: str) -> None:
    data, row = (VENDOR / name).read_bytes(), ROWS[name]
    assert len(data) == int(row["bytes"])
    assert hashlib.sha256(data).hexdigest() == row["sha256"]
    assert row["licence"].strip() in PERMISSIVE
    assert re.search(r"-\d+(\.\d+)+\.", name), "the name carries the version: browsers keep it for a year"
