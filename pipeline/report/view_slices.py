"""Files for the slice viewer: scan, labels, sub-regions and T2 or T1rho on one grid, and their display settings.

Arrays are written in memory order, (z, y, x) in C order, and are never reordered: for each plane, slices.json states
which array axis points down and right in the picture, and in which direction. So a pixel in the browser is a measured
voxel, and an oblique grid is shown in its own planes.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import CARTILAGE_OF, REGIONS, Compartment, Side, Structure
from pipeline.grid import Grid
from pipeline.parts import COMPUTED, Parts
from pipeline.planes import PLANES, PictureAxis, Plane, axis_order, edge_letters, picture_axes
from pipeline.report.colours import VIRIDIS, css
from pipeline.report.measured_knee import Shown
from pipeline.results_tree import ViewFile
from pipeline.types import LabelArray, RelaxationMap, Scan, Segmentation

STORED: Final = (0.05, 99.95)
"""Percentiles of the intensity range stored in 8 bits."""

WINDOW: Final = (1.0, 99.6)
"""Percentiles of the initial window, as on the contact sheet."""

SAMPLE_STEP: Final = 37
"""Percentiles are computed from every 37th voxel: 640,000 of a full knee. Coprime to common row lengths."""

T2_STEP_MS: Final = 0.01
"""Unit of the stored 16-bit values; 0 means no fit. The range is 655 ms; fits are below 500 ms."""

GZIP_LEVEL: Final = 1
"""Level 9 takes five times as long without better compression of noise."""


def write_slices(knee: Shown, view_dir: Path, parts: Parts = COMPUTED) -> None:
    """Write scan.bin, labels.bin, subregions.bin, t2.bin (if available) and, last, slices.json, as gzip."""
    view_dir.mkdir(parents=True, exist_ok=True)
    grid, labels = knee.segmentation.grid, knee.segmentation.labels
    document: dict[str, Any] = {
        "shape": list(grid.shape),
        "spacing_mm": list(grid.spacing_mm),
        "affine": grid.affine.tolist(),  # homogeneous (z, y, x) -> LPS mm
        "side": knee.alignment.side.value,
        "tilt_deg": round(_tilt_deg(grid), 1),
        "planes": [_plane(grid, plane, knee.alignment.side) for plane in PLANES],
        "start": _start(knee.segmentation),
        "structures": _structures(knee.segmentation),
        "regions": _regions(knee.subregions),
        "scan": None,
        "t2": None,
    }
    parts.file(_write, ViewFile.LABELS.at(view_dir), labels)
    parts.file(_write, ViewFile.SUBREGIONS.at(view_dir), knee.subregions)
    if knee.scan is not None:
        codes, document["scan"] = eight_bits(_image_on(grid, knee.scan))
        parts.file(_write, ViewFile.SCAN.at(view_dir), codes)
    if knee.t2 is not None:
        shown = knee.t2.relaxation
        parts.file(_write, ViewFile.T2.at(view_dir), _t2_on(grid, knee.t2))
        document["t2"] = {
            "title": shown.title,
            "unit": shown.whole.unit.symbol,
            "digits": shown.whole.digits,
            "step_ms": T2_STEP_MS,
            "range_ms": list(shown.volume_ms),
            "colours": [list(c) for c in VIRIDIS],
        }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    ViewFile.SLICES.at(view_dir).write_bytes(gzip.compress(text, GZIP_LEVEL, mtime=0))


def eight_bits(image: NDArray[np.float32]) -> tuple[NDArray[np.uint8], dict[str, object]]:
    """(z, y, x) intensities -> codes 0 to 255, and {offset, step, window}: intensity = offset + step * code.

    One step is about 0.4 % of the range between the outer percentiles. The noise of knee scans is several times larger,
    so steps are not visible even in a narrow window; 16 bits would double the download.
    """
    sample = image.reshape(-1)[::SAMPLE_STEP]
    low, black, white, high = (float(v) for v in np.percentile(sample, (STORED[0], *WINDOW, STORED[1])))
    step = (high - low) / 255.0 if high > low else 1.0
    codes = np.empty(image.shape, dtype=np.uint8)
    for source, target in zip(image, codes, strict=True):  # per slice, to avoid a second copy of the scan as float
        target[:] = np.clip((source - low) * np.float32(1.0 / step) + np.float32(0.5), 0.0, 255.0)
    return codes, {"offset": low, "step": step, "window": [black, max(white, black + step)]}


def _write(path: Path, array: NDArray[Any]) -> None:
    """The array's bytes, little-endian, C order."""
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    path.write_bytes(gzip.compress(plain.tobytes(), GZIP_LEVEL, mtime=0))


def _image_on(grid: Grid, scan: Scan) -> NDArray[np.float32]:
    """The scan on the grid of the labels, interpolated linearly if it has another grid (an external label map)."""
    if scan.grid.matches(grid):
        return scan.anatomical
    resampled: NDArray[np.float32] = _resampled(scan.anatomical, scan.grid, grid, order=1, outside=0.0)
    return resampled


def _t2_on(grid: Grid, t2: RelaxationMap) -> NDArray[np.uint16]:
    """T2 or T1rho in units of T2_STEP_MS on the grid of the labels; 0 without a fit."""
    values = t2.time_ms if t2.grid.matches(grid) else _resampled(t2.time_ms, t2.grid, grid, order=0, outside=np.nan)
    return np.rint(np.clip(np.nan_to_num(values / np.float32(T2_STEP_MS)), 0, 65535)).astype(np.uint16)


def _resampled(array: NDArray[Any], source: Grid, target: Grid, *, order: int, outside: float) -> NDArray[Any]:
    from scipy import ndimage

    matrix = np.linalg.inv(source.affine) @ target.affine
    found: NDArray[Any] = ndimage.affine_transform(
        array, matrix[:3, :3], matrix[:3, 3], output_shape=target.shape, order=order, cval=outside
    )
    return found


def _plane(grid: Grid, plane: Plane, side: Side) -> dict[str, Any]:
    """The axes of a plane, and letters and words at the edges of its picture."""
    order = axis_order(grid)
    down, right = picture_axes(grid, order, plane)
    edges = {"top": -down.direction, "right": right.direction, "bottom": down.direction, "left": -right.direction}
    return {
        "name": plane.title,
        "normal": order[plane.normal],
        "down": _axis(down),
        "right": _axis(right),
        "letters": {edge: edge_letters(direction) for edge, direction in edges.items()},
        "words": {
            edge: (Compartment.MEDIAL if (direction[0] > 0) == (side is Side.RIGHT) else Compartment.LATERAL).value
            for edge, direction in edges.items()
            if np.argmax(np.abs(direction)) == 0
        },
    }


def _axis(axis: PictureAxis) -> dict[str, int]:
    return {"axis": axis.axis, "turn": axis.turn}


def _tilt_deg(grid: Grid) -> float:
    """The largest angle between an axis of the grid and its anatomical axis."""
    order = axis_order(grid)
    cosines = [abs(grid.direction[lps, 2 - axis]) for lps, axis in enumerate(order)]
    return float(np.degrees(np.arccos(min(1.0, *cosines))))


def _start(segmentation: Segmentation) -> list[int]:
    """The initial voxel (z, y, x): the centre of the medial tibial cartilage, or of another structure."""
    plates = [plate for group in CARTILAGE_OF.values() for plate in group]
    for wanted in ([Structure.MEDIAL_TIBIAL_CARTILAGE], plates, list(Structure)):
        boxes = [segmentation.boxes[structure] for structure in wanted if structure in segmentation.boxes]
        if boxes:
            low = [min(box[axis].start for box in boxes) for axis in range(3)]
            part = tuple(slice(low[axis], max(box[axis].stop for box in boxes)) for axis in range(3))
            where = np.argwhere(np.isin(segmentation.labels[part], wanted, kind="table")) + low
            nearest = np.argmin(((where - where.mean(axis=0)) ** 2).sum(axis=1))
            return [int(index) for index in where[nearest]]
    return [n // 2 for n in segmentation.grid.shape]


def _structures(segmentation: Segmentation) -> list[dict[str, Any]]:
    """All structures, because a reader can paint those that were not found."""
    return [
        {"label": int(s), "key": s.key, "title": s.title, "colour": css(s.colour), "found": s in segmentation.boxes}
        for s in Structure
    ]


def _regions(subregions: LabelArray) -> list[dict[str, Any]]:
    """The existing sub-regions."""
    from scipy import ndimage

    found = ndimage.find_objects(subregions)
    return [
        {"label": r.label, "key": f"{r.plate}_{r.name}", "title": r.title, "colour": css(r.colour)}
        for r in REGIONS
        if r.label <= len(found) and found[r.label - 1] is not None
    ]
