"""Puts together what several steps have produced: the scan as it is measured, the knee, the whole result."""

from __future__ import annotations

from typing import Any

from pipeline.comparison.reproducibility import figures_of
from pipeline.detectable import Detectable
from pipeline.edits import Edit, edit_warnings
from pipeline.labels import given_model
from pipeline.padding import without_planes
from pipeline.products import (
    ALIGNMENT,
    CORRECTION,
    DIVIDED,
    FLAGS,
    INPUT_NAME,
    MEASUREMENTS,
    MODEL,
    RECORDS,
    RESOURCES,
    SCAN,
    SCAN_HEADER,
    SEGMENTATION,
    SHAPES,
    SUBREGIONS,
    T2,
    THICKNESS,
    UPLOAD,
)
from pipeline.progress import StepState
from pipeline.report import collect_host, collect_packages, collect_program
from pipeline.report.measured_knee import MeasuredKnee
from pipeline.segmentation.identity import ModelIdentity
from pipeline.shape.fit import fit_warnings
from pipeline.shape.installed import unused_shapes
from pipeline.step import Inputs
from pipeline.turned_knee import turn_warnings, turned
from pipeline.types import AnalysisResult, Provenance, Scan, ShapeFit


def turned_scan(inputs: Inputs) -> Scan | None:
    """The scan, turned as the user has chosen; it is stored as its header states."""
    scan = inputs.get(SCAN)
    return None if scan is None else turned(scan, inputs.options.turn)


def measured_scan(inputs: Inputs) -> Scan | None:
    """The scan on the grid of its outlines: without padding."""
    scan = turned_scan(inputs)
    return None if scan is None else without_planes(scan, inputs[SEGMENTATION].padding)


def measured_knee(inputs: Inputs) -> MeasuredKnee:
    """All that maps and pictures show."""
    return MeasuredKnee(
        scan=measured_scan(inputs),
        segmentation=inputs[SEGMENTATION],
        subregions=inputs[SUBREGIONS],
        divided=inputs[DIVIDED],
        alignment=inputs[ALIGNMENT],
        thickness=inputs[THICKNESS],
        t2=inputs.get(T2),
        flags=inputs[FLAGS],
    )


def analysis_result(inputs: Inputs, versions: dict[str, int]) -> AnalysisResult:
    """All that the analysis found, and how. versions: of every step."""
    shapes, records, flags = inputs.get(SHAPES) or (), inputs[RECORDS], inputs[FLAGS]
    return AnalysisResult(
        input_name=inputs[INPUT_NAME],
        scan=measured_scan(inputs),
        segmentation=inputs[SEGMENTATION],
        subregions=inputs[SUBREGIONS],
        divided=inputs[DIVIDED],
        alignment=inputs[ALIGNMENT],
        thickness=inputs[THICKNESS],
        t2=inputs.get(T2),
        shapes=shapes,
        measurements=tuple(row.judged(flags) for row in inputs[MEASUREMENTS]),
        flags=flags,
        warnings=_warnings(inputs, shapes),
        steps=records,
        provenance=Provenance(
            program=collect_program(),
            steps=versions,
            input_sha256=inputs[UPLOAD].sha256,
            options=_options_used(inputs),
            model=_model(inputs),
            shape_models=tuple({"id": fit.model, "kind": fit.kind, "weights_sha256": fit.sha256} for fit in shapes),
            packages=collect_packages(),
            host=dict(collect_host()),
            seconds={s.name: round(s.seconds, 3) for s in records if s.seconds is not None},
            edits=tuple(edit.to_dict() for edit in _edits(inputs)),
        ),
    )


def detectable_changes(inputs: Inputs) -> Detectable:
    """The smallest detectable changes of mean thickness; empty: not known for these outlines.

    It holds for outlines of the model, not for those that a reader has corrected.
    """
    if inputs[UPLOAD].labels is not None:
        return Detectable()
    known = figures_of(ModelIdentity.from_dict(_identity(inputs)))
    correction = inputs[CORRECTION]
    return (known if correction is None else known.without(correction.edited)).detectable


def _identity(inputs: Inputs) -> Any:
    correction = inputs[CORRECTION]
    return (inputs[MODEL] if correction is None else correction.model)["identity"]


def _model(inputs: Inputs) -> dict[str, object]:
    """What made the outlines: the model, or the user's label map with the numbering that was decided."""
    correction = inputs[CORRECTION]
    if correction is not None:
        return dict(correction.model)
    if inputs[UPLOAD].labels is None:
        return inputs[MODEL]
    return given_model(inputs[SEGMENTATION].model_id, inputs.options.numbering)


def _edits(inputs: Inputs) -> tuple[Edit, ...]:
    correction = inputs[CORRECTION]
    return () if correction is None else correction.edits


def _options_used(inputs: Inputs) -> dict[str, object]:
    """The options, without that of a network or of a label map where there is none."""
    given = inputs[UPLOAD].labels is not None
    unused = ("segmentation_model",) if given else ("numbering", "resample_labels")
    return {name: value for name, value in inputs.options.to_dict().items() if name not in unused}


def _warnings(inputs: Inputs, shapes: tuple[ShapeFit, ...]) -> tuple[str, ...]:
    """Assumptions about the scan's header, failed optional steps, and unusable shape models."""
    header = inputs.get(SCAN_HEADER)
    return (
        *(header.warnings if header is not None else ()),
        *turn_warnings(inputs.options.turn),
        *edit_warnings(_edits(inputs)),
        *inputs[SEGMENTATION].warnings,
        *(f"{s.title}: {s.reason}" for s in inputs[RECORDS] if s.state is StepState.FAILED),
        *(unused_shapes(inputs.options.nsm_type, inputs[RESOURCES]) if shapes else ()),
        *fit_warnings(shapes),
    )
