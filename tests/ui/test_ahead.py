"""Tests of reading ahead: what a page needs is there before somebody opens it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

PAGES = Path(__file__).parents[2] / "pages"


def imported(page: Path) -> list[str]:
    """What a page imports by `from ... import ...`."""
    tree = ast.parse(page.read_text(encoding="utf-8"))
    return sorted({node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module})


# In a process of its own, since this one has imported nearly everything. It prints which of the slow modules came in
# with the pages, after reading ahead was done; any name there is time a user would wait at a white page.
def test_pages_opened_later_find_every_slow_module_read_ahead() -> None:
    program = f"""
import sys, threading
from importlib import import_module
from ui.parts import ahead
ahead.read_ahead()
ahead.read_ahead()
threads = [thread for thread in threading.enumerate() if thread.name == "read-ahead"]
assert len(threads) == 1, threads
threads[0].join()
there = set(sys.modules)
for name in {sorted({name for page in PAGES.glob("*.py") for name in imported(page)})!r}:
    import_module(name)
slow = ("plotly", "pandas", "scipy", "nibabel", "SimpleITK", "pyvista", "pipeline.report")
print(sorted(name for name in set(sys.modules) - there if name.startswith(slow)))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
