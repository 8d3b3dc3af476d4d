"""Imagined DESS scans of whole knees as training's own painter draws them, with protocols outside training's ranges.

The first of two ways to measure the network: what it has learnt to read, in knees and protocols it has not seen. The
other (training/knee_unet/scans.py) is drawn by a second renderer, and says how much it leans on its own painter's hand.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.grid import Grid
from pipeline.segmentation.sampling import linear_matrix, positions
from pipeline.types import Scan, Segmentation, Sequence
from training.knee_unet.acquisition import rician
from training.knee_unet.contrast import draw_contrast
from training.knee_unet.fields import along, blurred, smooth_noise
from training.knee_unet.painting import View, paint
from training.knee_unet.patches import SUB_VOXEL
from training.knee_unet.scans import Protocol
from training.knee_unet.specimen import (
    DISTANCE_STEP_MM,
    RESOLUTION_MM,
    Specimen,
    in_network_axes,
    lookup,
    make_specimen,
)
from training.limb import Field
from training.render import SIGNAL_SCALE
from training.signal import TISSUES, Kind

BIAS_MM: Final = 80.0
"""The receive field is smooth over about this length, as in training/render.py."""


def painted_scan(knee: Segmentation, protocol: Protocol, seed: int) -> tuple[Scan, Segmentation]:
    """A DESS scan of a knee, painted in isotropic voxels of its finest side, and its labels; both in network axes."""
    labels, grid = in_network_axes(knee.labels, knee.grid)
    tissues, painter, receiver = np.random.default_rng(seed).spawn(3)
    specimen = make_specimen(knee, "held out", int(tissues.integers(2**31)))
    model = protocol.signal_model()
    contrast = draw_contrast(painter, "dess", model=model)
    image = paint(whole_view(specimen), contrast, painter)
    cartilage = float(model(TISSUES[Kind.CARTILAGE], np.array([TISSUES[Kind.CARTILAGE].t2_ms]))[0, 0])
    seen = _acquired(image, grid, protocol, protocol.scanner.noise / (SIGNAL_SCALE * cartilage), receiver)
    scan = Scan(echoes=SIGNAL_SCALE * seen[None], grid=grid, sequence=Sequence.DESS)
    return scan, Segmentation(labels=np.ascontiguousarray(labels), grid=grid, model_id=knee.model_id)


def whole_view(specimen: Specimen) -> View:
    """All of a specimen, undeformed, in isotropic voxels of its finest side."""
    voxel_mm = min(specimen.spacing_mm)
    sides = [round(extent / voxel_mm) for extent in specimen.extent_mm]
    places = list(np.ix_(*(((np.arange(n) + 0.5) * voxel_mm).astype(np.float32) for n in sides)))
    depth = specimen.bone_mm.astype(np.float32)
    for axis, n in enumerate(sides):
        depth = along(depth, axis, linear_matrix(positions(n, voxel_mm, RESOLUTION_MM), depth.shape[axis]))
    coarse = (RESOLUTION_MM,) * 3
    return View(
        samples=tuple(lookup(specimen.classes, specimen.spacing_mm, places, voxel_mm * at) for at in SUB_VOXEL),
        tissues=lookup(specimen.tissues, coarse, places),
        bone_mm=depth * np.float32(DISTANCE_STEP_MM),
        cartilage_mm=lookup(specimen.cartilage_mm, coarse, places).astype(np.float32) * np.float32(DISTANCE_STEP_MM),
        voxel_mm=voxel_mm,
    )


def _acquired(image: Field, grid: Grid, protocol: Protocol, noise: float, rng: np.random.Generator) -> Field:
    """Point spread, voxels of the map (partial volume along its slices), receive field, noise."""
    voxel_mm = min(grid.spacing_mm)
    for axis, (n, side) in enumerate(zip(grid.shape, grid.spacing_mm, strict=True)):
        width = protocol.scanner.psf_voxels[axis] * side / voxel_mm
        partial = np.sqrt(max(side**2 - voxel_mm**2, 0.0) / 12.0) / voxel_mm  # SD of a box as wide as the voxel
        image = blurred(image, axis, float(np.hypot(width, partial)))
        image = along(image, axis, linear_matrix(positions(n, side, voxel_mm), image.shape[axis]))
    field = smooth_noise(rng, grid.shape, BIAS_MM / voxel_mm)
    return rician(image * np.exp(np.float32(protocol.scanner.bias) * field), rng, noise)
