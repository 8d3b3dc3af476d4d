"""Imagined DESS scans of whole knees as training's own painter draws them, with protocols outside training's ranges.

The second of two ways to measure the network, with the knee and the protocol new to it and the hand that draws not. In
the first (training/knee_unet/scans.py) that is new as well. It is not easier in every respect: the painter also draws
what training is to be robust against, such as soft tissues that belong to no knee.
"""

from __future__ import annotations

import numpy as np

from pipeline.acquisition import PulseSequence
from pipeline.grid import Grid
from pipeline.segmentation.sampling import linear_matrix, positions
from pipeline.types import Scan, Segmentation
from training.knee_unet.acquisition import rician
from training.knee_unet.contrast import draw_contrast
from training.knee_unet.fields import along, blurred, smooth_noise
from training.knee_unet.painting import View, paint
from training.knee_unet.patches import view_at
from training.knee_unet.scans import Protocol
from training.knee_unet.specimen import RESOLUTION_MM, Specimen, in_network_axes, make_specimen
from training.limb import Field
from training.render import BIAS_MM, SIGNAL_SCALE
from training.signal import TISSUES, Kind


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
    scan = Scan(echoes=SIGNAL_SCALE * seen[None], grid=grid, sequence=PulseSequence.DESS)
    return scan, Segmentation(labels=np.ascontiguousarray(labels), grid=grid, model_id=knee.model_id)


def whole_view(specimen: Specimen) -> View:
    """All of a specimen, undeformed, in isotropic voxels of its finest side."""
    voxel_mm = min(specimen.spacing_mm)
    sides = [round(extent / voxel_mm) for extent in specimen.extent_mm]
    places = list(np.ix_(*(((np.arange(n) + 0.5) * voxel_mm).astype(np.float32) for n in sides)))
    depth = specimen.bone_mm.astype(np.float32)
    for axis, n in enumerate(sides):
        depth = along(depth, axis, linear_matrix(positions(n, voxel_mm, RESOLUTION_MM), depth.shape[axis]))
    return view_at(specimen, places, depth, np.eye(3), voxel_mm)


def _acquired(image: Field, grid: Grid, protocol: Protocol, noise: float, rng: np.random.Generator) -> Field:
    """Point spread, voxels of the map (partial volume along its slices), receive field, noise.

    The protocol's point spread is taken along the network's axes, its first along the slices.
    """
    voxel_mm = min(grid.spacing_mm)
    for axis, (n, side) in enumerate(zip(grid.shape, grid.spacing_mm, strict=True)):
        width = protocol.scanner.psf_voxels[axis] * side / voxel_mm
        partial = np.sqrt(max(side**2 - voxel_mm**2, 0.0) / 12.0) / voxel_mm  # SD of a box as wide as the voxel
        image = blurred(image, axis, float(np.hypot(width, partial)))
        image = along(image, axis, linear_matrix(positions(n, side, voxel_mm), image.shape[axis]))
    field = smooth_noise(rng, grid.shape, BIAS_MM / voxel_mm)
    return rician(image * np.exp(np.float32(protocol.scanner.bias) * field), rng, noise)
