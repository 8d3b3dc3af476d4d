"""The first steps of the analysis: from the upload, the model and the corrections of a reader to the outlines."""

from __future__ import annotations

from dataclasses import replace

from pipeline.assembly import turned_scan
from pipeline.correction import corrected_outlines
from pipeline.decoding.process import decode_label_map, decode_scan
from pipeline.image_io.content import require_content
from pipeline.labels import given_segmentation
from pipeline.one_knee import one_knee
from pipeline.padding import added, padding_of, without_padding, without_planes
from pipeline.products import (
    CORRECTED,
    CORRECTION,
    GIVEN_SEGMENTATION,
    LABEL_MAP,
    RAW_SEGMENTATION,
    RESOURCES,
    SCAN,
    SCAN_HEADER,
    UPLOAD,
)
from pipeline.scan_header import header_of
from pipeline.segmentation import segment
from pipeline.step import Inputs, Outputs
from pipeline.turned_knee import refuse_turned, turned
from pipeline.types import Segmentation


def read_upload(inputs: Inputs) -> Outputs:
    """The scan, and its header."""
    path, options = inputs[UPLOAD].scan, inputs.options
    assert path is not None  # noqa: S101  ensured by `applies`
    scan = decode_scan(
        path,
        side=options.chosen_side,
        series=options.series,
        echo_times_ms=options.echo_times_ms,
        beside_labels=path == inputs[UPLOAD].labels,
        scratch_dir=inputs.scratch_dir,
    )
    require_content(scan)
    return SCAN.of(scan), SCAN_HEADER.of(header_of(scan))


def why_no_scan(inputs: Inputs) -> str | None:
    """Why no scan is read."""
    return "no scan was given, only a label map" if inputs[UPLOAD].scan is None else None


def read_labels(inputs: Inputs) -> Outputs:
    """The label map of the user, as it is stored."""
    path = inputs[UPLOAD].labels
    assert path is not None  # noqa: S101  ensured by `applies`
    return (LABEL_MAP.of(decode_label_map(path, scratch_dir=inputs.scratch_dir)),)


def name_labels(inputs: Inputs) -> Outputs:
    """The structures of that label map."""
    scan, options = turned_scan(inputs), inputs.options
    label_map = turned(inputs[LABEL_MAP], options.turn)
    grid = None if scan is None else scan.grid
    given = given_segmentation(label_map, options.numbering, grid, resample=options.resample_labels)
    check = None if options.turn else refuse_turned
    given = given if scan is None else without_padding(given, scan)
    return (GIVEN_SEGMENTATION.of(one_knee(given, options.knee, check)),)


def why_no_labels(inputs: Inputs) -> str | None:
    """Why no label map is read."""
    return "no label map was given" if inputs[UPLOAD].labels is None else None


def outline(inputs: Inputs) -> Outputs:
    """The outlines of the model."""
    options = inputs.options
    padding = padding_of(inputs[SCAN])
    scan = without_planes(turned(inputs[SCAN], options.turn), padding)
    found = segment(scan, options.segmentation_model, inputs[RESOURCES], inputs.on_fraction, options.knee, options.turn)
    return (RAW_SEGMENTATION.of(replace(found, padding=added(padding, found.padding))),)


def why_not_outlined(inputs: Inputs) -> str | None:
    """Why no model is used."""
    return None if inputs[UPLOAD].labels is None else "the label map that was given is measured"


def correct(inputs: Inputs) -> Outputs:
    """The outlines as a reader left them."""
    correction = inputs[CORRECTION]
    assert correction is not None  # noqa: S101  ensured by `belongs`
    return (CORRECTED.of(corrected_outlines(correction)),)


def outlines_of(inputs: Inputs) -> Segmentation:
    """What is measured: the corrected outlines, or else the label map of the user or the outlines of the model."""
    return inputs.get(CORRECTED) or inputs.get(GIVEN_SEGMENTATION) or inputs[RAW_SEGMENTATION]
