"""Import in the background, while the first page is read, what only later pages need.

Without it the first look at an analysis shows a white page for as long as the import takes (2.6 s on two cores).
"""

from __future__ import annotations

import gc
from functools import cache
from importlib import import_module
from threading import Thread


@cache
def preload(module: str) -> None:
    """Import a module in a separate thread; only the first call in a process has an effect.

    A page that needs the module meanwhile waits for the same import.
    """
    Thread(target=_load, args=(module,), name="preload", daemon=True).start()


def _load(module: str) -> None:
    import_module(module)
    # Streamlit collects garbage after every run of a page: with all modules that took 0.13 s, in which no request was
    # answered
    gc.freeze()
