"""`python -m jobs.comparison.child PARENT FIRST SECOND TARGET`: compare two job folders into the folder TARGET.

TARGET/progress.json has the progress: {"share", "text"}. TARGET/verdict.json is written last: {"ok": true}, or {"ok":
false, "code", "message", "hint"}.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from jobs.processes import keep_files_private
from pipeline.linux import die_with_parent


def main(parent: int, first: Path, second: Path, target: Path) -> int:
    """Compare and write the verdict; returns the exit status."""
    die_with_parent(parent)
    keep_files_private()
    with contextlib.suppress(OSError):
        os.nice(5)  # analyses have priority
    _write(target / "verdict.json", _compare(first, second, target))
    return 0


def _compare(first: Path, second: Path, target: Path) -> dict[str, Any]:
    from pipeline.comparison.folders import compare_folders
    from pipeline.errors import KneeError

    def report(share: float, text: str) -> None:
        _write(target / "progress.json", {"share": share, "text": text})

    try:
        compare_folders(first, second, target, report)
    except KneeError as error:
        return {"ok": False, "code": error.code, "message": error.message, "hint": error.hint}
    return {"ok": True}


def _write(path: Path, data: dict[str, Any]) -> None:
    """Write atomically, without fsync, because the file is not used after a crash."""
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(data), encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *(Path(text) for text in sys.argv[2:])))
