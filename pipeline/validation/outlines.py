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
from pipeline.measure import measure_thickness, measure_volumes
from pipeline.options import AnalysisOptions
from pipeline.product import Product
from pipeline.products import (
    ALIGNMENT,
    FLAGS,
    GIVEN_SEGMENTATION,
    MEASUREMENTS,
    RAW_SEGMENTATION,
    SEGMENTATION,
    SURFACES,
)
from pipeline.quantities import DAB, PRIMARY, SECOND, TAB, THC, VOLUME
from pipeline.regions import split_compartments, subregions
from pipeline.run import run_steps
from pipeline.steps import steps_to
from pipeline.thickness import thickness_of_bones
from pipeline.types import Alignment, Measurement, Request, Resources, Segmentation, Surface
from pipeline.workspace import Workspace

MEASURED: Final = (THC, TAB, DAB, VOLUME)
"""The quantities that are compared."""

Place = tuple[str, str, str, str]
"""Quantity, method, structure and region of a measure."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlines:
    """One set of outlines of a scan.

    alignment  None without a femur, tibia or patella
    rows       measures of the structures that are present
    surfaces   of the bones that are outlined
    flags      codes of the model's quality flags; empty for an expert
    """

    segmentation: Segmentation
    alignment: Alignment | None
    rows: tuple[Measurement, ...] = ()
    surfaces: tuple[Surface, ...] = ()
    flags: tuple[str, ...] = ()

    @cached_property
    def whole(self) -> Segmentation:
        """The segmentation on the grid of the scan, with its padding."""
        own = self.segmentation
        return replace(own, labels=np.pad(own.labels, own.padding), grid=own.scan_grid, padding=NO_PLANES)

    def measures(self, *, on_own_bones: bool = True) -> dict[Place, float]:
        """The main statistic of every measure of MEASURED; NaN where a region holds nothing.

        on_own_bones: False for outlines that are compared with others without bones: thickness by the method SECOND
        """
        known = {quantity.id: quantity.main for quantity in MEASURED}
        other = SECOND if on_own_bones else PRIMARY
        return {
            (row.quantity, row.method, row.structure, row.region): row.value
            for row in self.rows
            if row.statistic == known.get(row.quantity) and row.method != other
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


def on_bones_of(outlines: Outlines, other: Outlines, cartilage_variance_mm2: float) -> Outlines:
    """Outlines without bones, measured on the bones of other outlines of the same scan.

    Thickness is that of the cartilage alone (SECOND): the distance to another outline's bone would hide an error of the
    inner surface. Unchanged if the outlines have bones, or if neither has. cartilage_variance_mm2: see AnalysisOptions
    """
    if outlines.alignment is not None or other.alignment is None:
        return outlines
    segmentation = split_compartments(outlines.whole, other.alignment)
    regions = subregions(segmentation, other.alignment)
    bones = np.where(np.isin(other.whole.labels, BONES), other.whole.labels, 0)
    with_bones = replace(segmentation, labels=np.where(segmentation.labels > 0, segmentation.labels, bones))
    maps = thickness_of_bones(other.surfaces, with_bones, regions, cartilage_variance_mm2)
    rows = [row for item in maps if item.method is SECOND for row in measure_thickness(item)]
    return Outlines(
        segmentation=segmentation,
        alignment=other.alignment,
        rows=tuple(
            row for row in (*rows, *measure_volumes(segmentation, regions)) if row.structure in _present(segmentation)
        ),
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
        surfaces=SURFACES.load(workspace),
        rows=tuple(row for row in rows if row.structure in _present(segmentation)),
    )


def _present(segmentation: Segmentation) -> set[str]:
    """Names in the column `structure` of the plates and menisci that are present."""
    found = {PLATE_ON[bone].value for bone in BONES if segmentation.boxes.keys() & set(CARTILAGE_OF[bone])}
    return found | {s.key for s in segmentation.boxes if s.tissue is Tissue.MENISCUS}
