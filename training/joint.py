"""Renders the labelled structures at full resolution: bones (cortex, marrow, growth-plate scars), cartilage, menisci.

Partial volumes are taken from slightly smoothed labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtri

from pipeline.anatomy import BONES, Structure, Tissue
from pipeline.grid import Box, Grid
from pipeline.types import LabelArray
from training.canvas import Canvas, Lattice
from training.limb import Field, limb_frame
from training.signal import Kind

EDGE_MM = 0.3
"""SD of the smoothing that gives partial volumes at the labels' boundaries."""
DEPTH_MM = 0.9
"""SD of the smoothing from which the distance to the bone is computed (valid to about 2.5 mm)."""
_SCARRED = {Structure.FEMUR: 0.2, Structure.TIBIA: 0.2, Structure.PATELLA: 0.0}
"""Fraction of the marrow signal lost in the scar of a growth plate."""
PATELLA_CORTEX_MM = 0.4
"""Additional cortex thickness of the patella, compared with the other bones near the joint."""
SHAFT_MM = 25.0
"""A shaft that ends further than this from the edge of the field of view was cut deliberately."""


def render_labels(canvas: Canvas, labels: LabelArray, grid: Grid, rng: np.random.Generator) -> None:
    """Render bones (cortex, marrow, growth-plate scars), cartilage with its layers, and menisci if labelled."""
    shares: list[tuple[Structure, Box, Field]] = []
    places = ndimage.find_objects(labels)
    rest = np.ones(labels.shape, np.float32)
    for structure in Structure:
        place = places[structure - 1] if structure <= len(places) else None
        if place is not None:
            box = _grown(place, grid, 4.0 * EDGE_MM)
            share = _smooth(labels[box] == structure, grid, EDGE_MM)
            rest[box] -= share
            shares.append((structure, box, share))
    np.clip(rest, 0.0, 1.0, out=rest)
    canvas.echoes *= rest
    depth = _bone_depth(labels, grid)
    thick, scar = _cortex(labels, grid, rng)
    for structure, box, share in shares:
        if structure is Structure.PATELLA:
            thick[box] += PATELLA_CORTEX_MM
        if structure.tissue is Tissue.CARTILAGE:
            _add_cartilage(canvas, structure, box, share, depth[box])
        elif structure.tissue is Tissue.BONE:
            _add_bone(canvas, structure, box, share, _rim(depth[box], thick[box]), _SCARRED[structure] * scar[box])
        else:
            _add_plain(canvas, structure, box, share, Kind.MENISCUS)


def with_whole_shafts(labels: LabelArray, grid: Grid) -> LabelArray:
    """Labels with shafts extended to the edge of the field of view if they end within SHAFT_MM of it.

    Experts stop some slices before the edge, where a scan still shows bone. Returns the same array if nothing changes.
    """
    frame = limb_frame(labels, grid)
    along = grid.direction.T[::-1] @ frame.axes[2]
    axis = int(np.abs(along).argmax())
    result = labels
    for bone, upward in ((Structure.FEMUR, True), (Structure.TIBIA, False)):
        filled = np.flatnonzero((labels == bone).any(tuple(k for k in range(3) if k != axis)))
        to_high = (along[axis] > 0) == upward
        room = max(1, round(SHAFT_MM / grid.spacing_mm[axis]))
        back = min(len(filled) - 1, max(1, round(2.0 / grid.spacing_mm[axis])))
        last = int(filled[-1 - back] if to_high else filled[back])
        short = grid.shape[axis] - last if to_high else last + 1
        if 1 < short <= room:
            result = result.copy() if result is labels else result
            turned = np.moveaxis(result, axis, 0)
            pad = turned[last + 1 :] if to_high else turned[:last]
            pad[np.broadcast_to((turned[last] == bone)[None], pad.shape) & (pad == 0)] = bone
    return result


def _add_plain(canvas: Canvas, structure: Structure, box: Box, share: Field, kind: Kind) -> None:
    """Render a structure of a single tissue."""
    weight = share * (1.0 + 0.2 * canvas.grain[box])
    for echo, level in zip(canvas.echoes, canvas.level(kind, canvas.t2_ms.get(structure)), strict=True):
        echo[box] += level * weight


def _add_bone(canvas: Canvas, structure: Structure, box: Box, share: Field, rim: Field, scar: Field) -> None:
    """Render marrow with trabecular grain, darker in the growth-plate scar, then cortex with weight `rim`."""
    t2_ms = canvas.t2_ms.get(structure)
    marrow = share * (1.0 - rim) * (1.0 + 0.10 * canvas.grain[box]) * (1.0 - scar)
    cortex = share * rim
    levels = zip(canvas.level(Kind.MARROW, t2_ms), canvas.level(Kind.CORTEX, t2_ms), strict=True)
    for echo, (bright, dark) in zip(canvas.echoes, levels, strict=True):
        echo[box] += bright * marrow + dark * cortex


def _grown(box: Box, grid: Grid, margin_mm: float) -> Box:
    """The box enlarged by a margin, clipped to the grid."""
    grown = [
        slice(max(0, s.start - int(np.ceil(margin_mm / mm))), min(n, s.stop + int(np.ceil(margin_mm / mm))))
        for s, mm, n in zip(box, grid.spacing_mm, grid.shape, strict=True)
    ]
    return grown[0], grown[1], grown[2]


def _smooth(mask: NDArray[np.bool_], grid: Grid, width_mm: float) -> Field:
    """Gaussian-smoothed mask; values at the edge of the field of view are repeated outside."""
    sigma = [width_mm / mm for mm in grid.spacing_mm]
    return np.asarray(ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="nearest", truncate=3.0))


_DEPTH_TABLE = (-DEPTH_MM * ndtri(np.clip(np.arange(4097) / 4096.0, 1e-3, 1 - 1e-3))).astype(np.float32)
"""Smoothed bone label (0 to 1, in 4096 steps) -> distance to its surface, mm, positive outside: exact for a plane."""


def _bone_depth(labels: LabelArray, grid: Grid) -> Field:
    """(z, y, x) distance to the nearest bone surface, mm, negative inside, clipped at about 2.8 mm."""
    depth = np.full(labels.shape, _DEPTH_TABLE[0], np.float32)
    for place in ndimage.find_objects(labels, max_label=max(BONES)):
        if place is not None:
            box = _grown(place, grid, 3.0 * DEPTH_MM)
            bone = (labels[box] >= min(BONES)) & (labels[box] <= max(BONES))
            share = _smooth(bone, grid, DEPTH_MM)
            depth[box] = np.minimum(depth[box], _DEPTH_TABLE[(share * 4096.0 + 0.5).astype(np.int16)])
    return depth


def _cortex(labels: LabelArray, grid: Grid, rng: np.random.Generator) -> tuple[Field, Field]:
    """(z, y, x) cortex thickness in mm, thin near the joint and thick in the shafts; and weight of the scars."""
    lattice = Lattice(grid)
    frame = limb_frame(labels, grid)
    w = (lattice.points_mm() - frame.origin) @ frame.axes[2]
    bumps = lattice.noise(rng, 12.0)
    away = np.clip((np.abs(w - 6.0) - 28.0) / 30.0, 0.0, 1.0)
    thick = (0.45 + 0.12 * bumps + 1.1 * away).astype(np.float32)
    scar = np.minimum(np.abs(w - 33.0 - 2.5 * bumps), np.abs(w + 17.0 - 2.0 * bumps)).astype(np.float32)
    whole = (slice(0, grid.shape[0]), slice(0, grid.shape[1]), slice(0, grid.shape[2]))
    return lattice.to_grid(thick, whole), np.clip(1.4 - lattice.to_grid(scar, whole), 0.0, 1.0)


def _rim(depth: Field, thick: Field) -> Field:
    """Weight of cortex over marrow: 1 from the surface to the cortex thickness, then a short ramp to 0."""
    return np.asarray(0.92 * np.clip(0.5 + (depth + thick) / 0.5, 0.0, 1.0), np.float32)


def _add_cartilage(canvas: Canvas, structure: Structure, box: Box, share: Field, depth: Field) -> None:
    """Render cartilage: T2 rises from the bone (about 25 ms) to the surface (about 45 ms) unless the caller set it."""
    here = share > 0
    t2_ms = np.full(np.count_nonzero(here), canvas.t2_ms.get(structure, np.nan))
    if structure not in canvas.t2_ms:
        t2_ms = 24.0 + 22.0 * (1.0 - np.exp(-np.maximum(depth[here], 0.0) / 1.3))
    table = np.linspace(1.0, 201.0, 401)
    levels = canvas.model(canvas.tissues[Kind.CARTILAGE], table)
    grain = share[here] * (1.0 + 0.06 * canvas.grain[box][here])
    for n, level in enumerate(levels):
        canvas.echoes[n][box][here] += (np.interp(t2_ms, table, level) * grain).astype(np.float32)
