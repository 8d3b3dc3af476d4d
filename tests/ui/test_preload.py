"""Preloading: the modules that later pages need are imported before somebody opens one."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "pages"


def preloaded() -> str:
    """The module that app.py names to preload()."""
    for node in ast.walk(ast.parse((ROOT / "app.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "preload":
            return str(ast.literal_eval(node.args[0]))
    raise AssertionError("app.py preloads nothing")


def imported(page: Path) -> list[str]:
    """What a page imports by `from ... import ...`."""
    tree = ast.parse(page.read_text(encoding="utf-8"))
    return sorted({node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module})


# In a separate process, because this one has imported nearly everything. It prints the slow modules imported by pages
# after preloading; each of them delays a page.
@pytest.mark.slow
def test_pages_opened_later_find_every_slow_module_preloaded() -> None:
    program = f"""
import sys, threading
from importlib import import_module
from ui.parts.preload import preload
preload({preloaded()!r})
preload({preloaded()!r})
threads = [thread for thread in threading.enumerate() if thread.name == "preload"]
assert len(threads) == 1, threads
threads[0].join()
there = set(sys.modules)
for name in {sorted({name for page in PAGES.glob("*.py") for name in imported(page)})!r}:
    import_module(name)
slow = ("plotly", "pandas", "scipy", "nibabel", "SimpleITK", "pyvista", "pipeline.report")
print(sorted(name for name in set(sys.modules) - there if name.startswith(slow)))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert result.stdout.strip() == "[]"
