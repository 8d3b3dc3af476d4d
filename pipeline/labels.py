"""Conversion of existing label maps from their numbering to ours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import Numbering
from pipeline.errors import EmptyImage, UnsupportedImage
from pipeline.grid import Grid
from pipeline.types import Scan, Segmentation


def canonical_labels(labels: NDArray[np.integer], grid: Grid, numbering: Numbering, scan: Scan | None) -> Segmentation:
    """Remap a label map (z, y, x).

    Raises UnsupportedImage if a label is not declared or the scan has another grid, EmptyImage if all labels are 0.
    """
    if scan is not None and not grid.matches(scan.grid, tolerance_mm=0.1):
        raise UnsupportedImage(
            f"Label map and scan do not have the same grid: label map {_geometry(grid)}, "
            f"scan {_geometry(scan.grid)}; expected the same matrix, spacing and position.",
            hint="Resample the label map onto the scan (nearest neighbour), or measure the label map without the scan.",
        )
    present = np.zeros(int(labels.max(initial=0)) + 1, dtype=bool)
    present[labels] = True
    found = [int(value) for value in np.flatnonzero(present)]
    unknown = [value for value in found if value not in numbering.to_canonical and value != 0]
    if unknown:
        raise UnsupportedImage(
            f"The label map contains {_some(unknown)}, which the numbering '{numbering.id}' does not declare; "
            f"expected 0 and {_some(sorted(numbering.to_canonical))}.",
            hint="Choose another numbering: canonical, oai, pymskt or dosma.",
            labels=unknown,
        )
    if found in ([], [0]):
        raise EmptyImage("The label map contains only background; expected bones and cartilage.")
    table = np.zeros(max(*found, 1) + 1, dtype=np.uint8)
    for native, structure in numbering.to_canonical.items():
        if structure is not None and native < len(table):
            table[native] = structure
    return Segmentation(
        labels=table[labels],
        grid=grid if scan is None else scan.grid,
        model_id=f"given:{numbering.id}",
        compartments_apart=numbering.compartments_apart,
    )


def _geometry(grid: Grid) -> str:
    size = " x ".join(str(n) for n in grid.shape)
    return f"{size} at {' x '.join(f'{s:.3g}' for s in grid.spacing_mm)} mm"


def _some(values: list[int]) -> str:
    shown = ", ".join(str(value) for value in values[:12])
    return f"{shown}, ..." if len(values) > 12 else shown
