"""The outlines of one case, the expert's or the model's: labels, measures, and where the knee lies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from pipeline.anatomy import BONES, CARTILAGE_OF, PLATE_ON, Structure, Tissue
from pipeline.errors import UnsupportedImage
from pipeline.grid import NO_PLANES
from pipeline.labels import doubt_of
from pipeline.measure import measure_volumes
from pipeline.options import AnalysisOptions
from pipeline.product import Product
from pipeline.products import ALIGNMENT, FLAGS, GIVEN_SEGMENTATION, MEASUREMENTS, RAW_SEGMENTATION, SEGMENTATION
from pipeline.quantities import DAB, TAB, THC, VOLUME, is_main
from pipeline.regions import split_compartments, subregions
from pipeline.run import run_steps
from pipeline.steps import steps_to
from pipeline.types import Alignment, Measurement, Request, Resources, Segmentation
from pipeline.workspace import Workspace

MEASURED: Final = (THC, TAB, DAB, VOLUME)
"""The quantities that are compared."""

Place = tuple[str, str, str]
"""Quantity, structure and region of a measure."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlines:
    """One set of outlines of a scan.

    alignment  None without a femur, tibia or patella
    rows       measures of the structures that are present; without bones, only volumes
    flags      codes of the model's quality flags; empty for an expert
    """

    segmentation: Segmentation
    alignment: Alignment | None
    rows: tuple[Measurement, ...] = ()
    flags: tuple[str, ...] = ()

    @cached_property
    def whole(self) -> Segmentation:
        """The segmentation on the grid of the scan, with its padding."""
        own = self.segmentation
        return replace(own, labels=np.pad(own.labels, own.padding), grid=own.scan_grid, padding=NO_PLANES)

    def measures(self) -> dict[Place, float]:
        """The main statistic of every measure of MEASURED; NaN where a region holds nothing."""
        known = {quantity.id for quantity in MEASURED}
        return {
            (row.quantity, row.structure, row.region): row.value
            for row in self.rows
            if row.quantity in known and is_main(row.quantity, row.method, row.statistic)
        }


def expert_outlines(
    workspace: Workspace, options: AnalysisOptions, resources: Resources, scan: str, labels: str
) -> Outlines:
    """The expert's label map, measured as an analysis does. Without bones, it is not aligned and has no rows.

    Raises UnsupportedImage if the numbering contradicts the anatomy, else as the steps do.
    """
    request = Request(input_name=labels, scan=scan, labels=labels)
    _run(workspace, options, resources, request, GIVEN_SEGMENTATION)
    given = GIVEN_SEGMENTATION.load(workspace)
    if doubt := doubt_of(given):
        raise UnsupportedImage(doubt, hint="Give the numbering of the set (--numbering).")
    if not given.boxes.keys() & set(BONES):
        return Outlines(segmentation=given, alignment=None)
    _run(workspace, options, resources, request, MEASUREMENTS)
    return _loaded(workspace)


def model_outlines(
    workspace: Workspace,
    options: AnalysisOptions,
    resources: Resources,
    scan: str,
    structures: Iterable[Structure],
) -> Outlines:
    """The model's segmentation, measured as an analysis does. Raises as the steps do.

    structures: that the model segments. Without a femur among them, nothing is aligned and there are no rows.
    """
    request = Request(input_name=scan, scan=scan)
    if Structure.FEMUR not in structures:
        _run(workspace, options, resources, request, RAW_SEGMENTATION)
        return Outlines(segmentation=RAW_SEGMENTATION.load(workspace), alignment=None)
    _run(workspace, options, resources, request, FLAGS)
    flags = tuple(flag.code for flag in FLAGS.load(workspace))
    return replace(_loaded(workspace), flags=tuple(dict.fromkeys(flags)))


def in_frame(outlines: Outlines, alignment: Alignment | None) -> Outlines:
    """Outlines without bones, with compartments and volumes by the alignment of the other outlines of the same scan.

    Unchanged if they are aligned, or if neither is.
    """
    if outlines.alignment is not None or alignment is None:
        return outlines
    segmentation = split_compartments(outlines.segmentation, alignment)
    rows = measure_volumes(segmentation, subregions(segmentation, alignment))
    return Outlines(
        segmentation=segmentation,
        alignment=alignment,
        rows=tuple(row for row in rows if row.structure in _present(segmentation)),
        flags=outlines.flags,
    )


def _run(
    workspace: Workspace,
    options: AnalysisOptions,
    resources: Resources,
    request: Request,
    product: Product[Any],
) -> None:
    run_steps(workspace, options, resources, request, lambda _: None, steps_to(product))


def _loaded(workspace: Workspace) -> Outlines:
    segmentation = SEGMENTATION.load(workspace)
    rows = MEASUREMENTS.load(workspace)
    return Outlines(
        segmentation=segmentation,
        alignment=ALIGNMENT.load(workspace),
        rows=tuple(row for row in rows if row.structure in _present(segmentation)),
    )


def _present(segmentation: Segmentation) -> set[str]:
    """Names in the column `structure` of the plates and menisci that are present."""
    found = {PLATE_ON[bone].value for bone in BONES if segmentation.boxes.keys() & set(CARTILAGE_OF[bone])}
    return found | {s.key for s in segmentation.boxes if s.tissue is Tissue.MENISCUS}
