"""`python -m jobs.comparison.child PARENT TARGET FOLDER FOLDER ... [--years=T ...]`: compare job folders.

Two folders are compared with one another; with the time of each, three and more are followed. The result is written
into the folder TARGET. TARGET/progress.json has the progress: {"share", "text"}. TARGET/verdict.json is written last:
{"ok": true}, or {"ok": false, "code", "message", "hint"}.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from jobs.processes import keep_files_private
from pipeline.linux import die_with_parent


def main(words: list[str]) -> int:
    """Compare and write the verdict; returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parent", type=int)
    parser.add_argument("target", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--years", type=float, action="append", default=[])
    given = parser.parse_args(words)
    die_with_parent(given.parent)
    keep_files_private()
    with contextlib.suppress(OSError):
        os.nice(5)  # analyses have priority
    _write(given.target / "verdict.json", _compare(given.folders, given.years, given.target))
    return 0


def _compare(folders: list[Path], years: list[float], target: Path) -> dict[str, Any]:
    from pipeline.errors import KneeError

    def report(share: float, text: str) -> None:
        _write(target / "progress.json", {"share": share, "text": text})

    try:
        if years:
            from pipeline.comparison.follow_folders import follow_folders

            follow_folders(list(zip(folders, years, strict=True)), target, report)
        else:
            from pipeline.comparison.folders import compare_folders

            first, second = folders
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
    sys.exit(main(sys.argv[1:]))
