"""What only later pages need, imported in the background while the first page is looked at.

Without it, the first look at an analysis shows a white page for as long as the import takes (2.6 s on two cores).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from threading import Thread
from typing import Final

LATER: Final = "ui.analysis.results"
"""Brings all that is slow: charts, tables, the report."""


@cache
def read_ahead() -> None:
    """Import LATER in a thread of its own; only the first call in a process does anything.

    A page that needs it meanwhile waits for that one import, as it would have without.
    """
    Thread(target=import_module, args=(LATER,), name="read-ahead", daemon=True).start()
