"""Label maps and T2 maps as files for other programs: NIfTI, NRRD and label tables. Internally, geometry is LPS and
float64 (pipeline.grid). NRRD preserves this. NIfTI is RAS and float32, accurate to about 1e-5 mm.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import nibabel
import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import SCHEMES, Structure
from pipeline.grid import Grid, Planes
from pipeline.relaxation import T1RHO_RELAXATION
from pipeline.report.measured_knee import Shown
from pipeline.results_tree import (
    DIVIDED,
    ITKSNAP_TABLE,
    LABELS_NIFTI,
    LABELS_NRRD,
    R2_MAP,
    SLICER_TABLE,
    SUBREGIONS,
    T1RHO_MAP,
    T1RHO_R2_MAP,
    T2_MAP,
)
from pipeline.types import RelaxationMap

GZIP_LEVEL: Final = 4
"""For label maps, level 1 gives twice the size of level 4; level 6 takes twice the time and saves 5 %."""

LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])

SCANNER: Final = 1
"""NIfTI code of sform and qform: coordinates of the scanner's patient space."""

LabelRow = tuple[int, str, tuple[int, int, int]]


def label_rows() -> tuple[LabelRow, ...]:
    """Number, title and colour of every label in the label map and both maps of regions, ascending.

    A structure that is a region as well (tibial and patellar cartilage) has the region's colour, so that the parts of a
    plate can be distinguished.
    """
    rows = {int(structure): (structure.title, structure.colour) for structure in Structure}
    for region in (region for scheme in SCHEMES for region in scheme.numbered):
        title = rows[region.label][0] if region.label in rows else region.title
        rows[region.label] = (title, region.colour)
    return tuple((label, *rows[label]) for label in sorted(rows))


def itksnap_table() -> str:
    """The labels as an ITK-SNAP label description file (Segmentation > Import Label Descriptions)."""
    rule = "#" * 48
    lines = [
        rule,
        "# ITK-SnAP Label Description File",
        "# File format:",
        "# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL",
        rule,
        '    0     0    0    0        0  0  0    "Clear Label"',
    ]
    lines += [f'{n:5d} {r:5d} {g:4d} {b:4d}        1  1  1    "{title}"' for n, title, (r, g, b) in label_rows()]
    return "\n".join(lines) + "\n"


def slicer_table() -> str:
    """The labels as a 3D Slicer colour table."""
    lines = ["# Color table file", "0 Background 0 0 0 0"]
    lines += [f"{n} {_identifier(title)} {r} {g} {b} 255" for n, title, (r, g, b) in label_rows()]
    return "\n".join(lines) + "\n"


def _identifier(title: str) -> str:
    return "_".join(title.replace(":", "").split())


def write_nifti(path: Path, array: NDArray[np.generic], grid: Grid) -> None:
    """Write an array (z, y, x) as gzipped NIfTI: sform and qform set, mm, byte-identical for the same input."""
    path.write_bytes(nifti_bytes(array, grid))


def nifti_bytes(array: NDArray[np.generic], grid: Grid) -> bytes:
    """The content of such a file."""
    affine = LPS_TO_RAS @ grid.affine[:, [2, 1, 0, 3]]
    image = nibabel.Nifti1Image(array.transpose(2, 1, 0), affine, dtype=array.dtype)
    image.set_sform(affine, SCANNER)
    image.set_qform(affine, SCANNER)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), GZIP_LEVEL, mtime=0)


def write_nrrd(path: Path, array: NDArray[np.uint8], grid: Grid) -> None:
    """Write an array (z, y, x) uint8 as gzip-encoded NRRD in LPS, with full precision of the geometry."""
    if array.dtype != np.uint8:
        raise ValueError(f"array must be uint8, found {array.dtype}")
    data = gzip.compress(np.ascontiguousarray(array).tobytes(), GZIP_LEVEL, mtime=0)
    path.write_bytes(nrrd_header(grid, "uint8") + data)


def nrrd_header(grid: Grid, kind: str, more: str = "") -> bytes:
    """The header of a gzip-encoded NRRD file with an array (z, y, x) of this type; more: further lines."""
    columns = grid.affine[:3, [2, 1, 0]].T
    header = [
        "NRRD0005",
        f"type: {kind}",
        "dimension: 3",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(n) for n in grid.shape[::-1]),
        "space directions: " + " ".join(_vector(column) for column in columns),
        "kinds: domain domain domain",
        "encoding: gzip",
        "space origin: " + _vector(grid.origin_mm),
    ]
    return ("\n".join([*header, ""]) + more + "\n").encode("ascii")


def _vector(values: Iterable[float]) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"


def write_segmentation(knee: Shown, files_dir: Path) -> None:
    """Labels (NIfTI, NRRD), regions and subregions (NIfTI) on the grid of the scan, and both label tables."""
    padding, grid = knee.segmentation.padding, knee.segmentation.scan_grid
    labels = np.pad(knee.segmentation.labels, padding)
    write_nifti(LABELS_NIFTI.target(files_dir), labels, grid)
    write_nrrd(LABELS_NRRD.target(files_dir), labels, grid)
    write_nifti(SUBREGIONS.target(files_dir), np.pad(knee.subregions, padding), grid)
    write_nifti(DIVIDED.target(files_dir), np.pad(knee.divided, padding), grid)
    ITKSNAP_TABLE.target(files_dir).write_text(itksnap_table(), encoding="utf-8", newline="\n")
    SLICER_TABLE.target(files_dir).write_text(slicer_table(), encoding="utf-8", newline="\n")


def write_t2(t2: RelaxationMap, padding: Planes, files_dir: Path) -> None:
    """Write T2 or T1rho in ms, and the fit quality if the method has one; 0 without a fit.

    padding: planes of the scan that the map leaves out
    """
    grid = t2.grid.extended(padding)
    times, quality = (T1RHO_MAP, T1RHO_R2_MAP) if t2.relaxation is T1RHO_RELAXATION else (T2_MAP, R2_MAP)
    write_nifti(times.target(files_dir), np.pad(np.nan_to_num(t2.time_ms, nan=0.0), padding), grid)
    if np.isfinite(t2.r2).any():
        write_nifti(quality.target(files_dir), np.pad(np.nan_to_num(t2.r2, nan=0.0), padding), grid)
