"""Text is UTF-8 wherever it comes from: under the C locale, Python's default is ASCII. Ruff checks files (PLW1514)."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_output_of_a_subprocess_is_decoded_by_a_named_encoding() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    unnamed = [
        f"{path}:{call.lineno}"
        for path in listed.stdout.splitlines()
        for call in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and _decodes_by_default(call)
    ]
    assert not unnamed, "write encoding='utf-8' instead of text=True"


def _decodes_by_default(call: ast.Call) -> bool:
    names = {keyword.arg for keyword in call.keywords}
    return (
        bool(names & {"text", "universal_newlines"})
        and bool(names & {"stdout", "capture_output"})
        and ("encoding" not in names)
    )
