"""Segments bones and cartilage in a scan with the chosen model of the registry.

Importing this loads no inference runtime; `segment` does.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.errors import OutOfMemory
from pipeline.segmentation.registry import model
from pipeline.segmentation.segmenter import Report, Segmenter, facts
from pipeline.types import Resources, Scan, Segmentation

__all__ = ["describe", "run", "segment"]


def segment(
    scan: Scan, model_id: str, resources: Resources, report: Report, knee: str = "", turn: str = ""
) -> Segmentation:
    """Post-processed canonical labels of one knee on the scan's grid, or on the part of it that shows the chosen knee.

    knee: which of several, from the patient's right to the left ("1", "2"); empty for the only one
    turn: that the user has chosen and that the scan has; empty: the orientation in the header is checked
    Raises OptionsError for an unknown id or knee; TwoKnees if there are several and none is chosen; TurnedKnee;
    WeightsMissing, WeightsCorrupt, OutOfMemory or another ModelError.
    """
    return run(model(model_id, resources), scan, resources, report, knee, turn)


def run(
    segmenter: Segmenter, scan: Scan, resources: Resources, report: Report, knee: str = "", turn: str = ""
) -> Segmentation:
    """As `segment`, for a model that is not in the registry or has other weights."""
    from pipeline.padding import without_planes
    from pipeline.segmentation.chosen_knee import segment_knee
    from pipeline.segmentation.contrast import marrow_contrast
    from pipeline.segmentation.crumbs import without_crumbs
    from pipeline.segmentation.fluid import without_fluid
    from pipeline.segmentation.postprocess import clean

    report(0.0)
    try:
        answer = segment_knee(segmenter, scan, resources, report, knee, turn)
        image = without_planes(scan, answer.padding).anatomical
        found = without_crumbs(clean(without_fluid(answer, image)))
        return replace(found, marrow_contrast=marrow_contrast(found, image))
    except MemoryError as error:
        raise OutOfMemory(
            f"No memory to segment a scan of {' x '.join(map(str, scan.grid.shape))} voxels.",
            hint="Run fewer analyses at once.",
        ) from error


def describe(model_id: str, resources: Resources) -> dict[str, object]:
    """The model with this id, for provenance: card, identity and runtime.

    Loads the weights, as `segment` does, and raises the same errors.
    """
    segmenter = model(model_id, resources)
    return facts(segmenter.card, segmenter.identity()) | segmenter.provenance(resources)
