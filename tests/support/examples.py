"""Runs the published examples and reads what they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def run(folder: Path, *arguments: str | Path) -> str:
    """Run Python in a folder; -> standard output."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def means(text: str) -> dict[str, float]:
    """Region -> mean thickness in mm, from what an example prints."""
    return {match[1]: float(match[2]) for match in re.finditer(r"(\w+) +(\d+\.\d\d) mm$", text, re.MULTILINE)}
