"""Outline bones and cartilage in a scan with the model of the catalogue that the user chose.

Importing this loads no inference runtime; `segment` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.segmentation.catalogue import card, installed_folder
from pipeline.types import Resources, Scan, Segmentation

__all__ = ["describe", "segment"]


def segment(scan: Scan, model_id: str, resources: Resources, on_progress: Callable[[float], None]) -> Segmentation:
    """Canonical labels on the scan's grid, cleaned; on_progress is told the share done, 0 to 1, rising.

    A lab's own model of this id takes precedence over the built-in one.
    Raises OptionsError for an unknown id; WeightsMissing, WeightsCorrupt, OutOfMemory or another ModelError.
    """
    entry = card(model_id)
    folder = installed_folder(model_id, resources)
    on_progress(0.0)
    if folder is not None:
        from pipeline.segmentation import nnunet

        return nnunet.segment(folder, model_id, scan, resources, on_progress)
    from pipeline.segmentation import unet

    return unet.segment(entry, scan, resources, on_progress)


def describe(model_id: str, resources: Resources) -> dict[str, Any]:
    """Which model runs under this id, for provenance: its card, digest of the weights, runtime and what executes it.

    Loads the weights, as `segment` does, and raises the same errors.
    """
    entry = card(model_id)
    folder = installed_folder(model_id, resources)
    if folder is not None:
        from pipeline.segmentation import nnunet

        return nnunet.describe(folder, model_id, resources)
    from pipeline.segmentation import runtime, unet

    unet.load_edges(entry)  # for what it raises
    return entry.to_dict() | {"source": "built-in"} | runtime.facts(unet.load(entry, resources))
