"""Libraries of the analysis, imported by the worker: the process of each job is a copy of it and need not wait."""

from __future__ import annotations

import contextlib
import gc
from functools import cache
from importlib import import_module
from typing import Final

_MODULES: Final = (
    "pipeline.run",
    "pipeline.segmentation.chosen_knee",
    "onnxruntime",
)
"""These import the others: 0.6 s of processor time per job, 100 MB that all jobs of a worker share."""


@cache
def load_libraries() -> None:
    """Import them; only the first call has an effect. A job reports what cannot be imported."""
    for module in _MODULES:
        with contextlib.suppress(ImportError):
            import_module(module)
    gc.freeze()  # a collection in a copy would write to the shared pages
