"""Synthetic DESS scans of whole knees from the training renderer, with protocols outside the training ranges.

This is one of two test sets for the network: knee and protocol are new to it, but the renderer is not. In the other
(training/knee_unet/scans.py) the renderer is new as well. This set is not easier in every respect: the training
renderer also adds the disturbances that training should make the network robust to, such as non-anatomical soft tissue.
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
from training.knee_unet.patch_rendering import View, render_patch
from training.knee_unet.patches import view_at
from training.knee_unet.scans import Protocol
from training.knee_unet.specimen import RESOLUTION_MM, Specimen, in_network_axes, make_specimen
from training.limb import Field
from training.render import BIAS_MM, SIGNAL_SCALE
from training.signal import TISSUES, Kind


def rendered_scan(knee: Segmentation, protocol: Protocol, seed: int) -> tuple[Scan, Segmentation]:
    """A DESS scan of a knee, rendered with isotropic voxels of its smallest spacing, and labels; in network axes."""
    labels, grid = in_network_axes(knee.labels, knee.grid)
    tissues, renderer, receiver = np.random.default_rng(seed).spawn(3)
    specimen = make_specimen(knee, "held out", int(tissues.integers(2**31)))
    model = protocol.signal_model()
    contrast = draw_contrast(renderer, "dess", model=model)
    image = render_patch(whole_view(specimen), contrast, renderer)
    cartilage = float(model(TISSUES[Kind.CARTILAGE], np.array([TISSUES[Kind.CARTILAGE].t2_ms]))[0, 0])
    seen = _acquired(image, grid, protocol, protocol.scanner.noise / (SIGNAL_SCALE * cartilage), receiver)
    scan = Scan(echoes=SIGNAL_SCALE * seen[None], grid=grid, sequence=PulseSequence.DESS)
    return scan, Segmentation(labels=np.ascontiguousarray(labels), grid=grid, model_id=knee.model_id)


def whole_view(specimen: Specimen) -> View:
    """The whole specimen, undeformed, with isotropic voxels of its smallest spacing."""
    voxel_mm = min(specimen.spacing_mm)
    sides = [round(extent / voxel_mm) for extent in specimen.extent_mm]
    places = list(np.ix_(*(((np.arange(n) + 0.5) * voxel_mm).astype(np.float32) for n in sides)))
    depth = specimen.bone_mm.astype(np.float32)
    for axis, n in enumerate(sides):
        depth = along(depth, axis, linear_matrix(positions(n, voxel_mm, RESOLUTION_MM), depth.shape[axis]))
    return view_at(specimen, places, depth, np.eye(3), voxel_mm)


def _acquired(image: Field, grid: Grid, protocol: Protocol, noise: float, rng: np.random.Generator) -> Field:
    """Apply point spread, the map's voxels (partial volume across slices), receive field and noise.

    The protocol's point spread applies along the network's axes; its first value applies across slices.
    """
    voxel_mm = min(grid.spacing_mm)
    for axis, (n, side) in enumerate(zip(grid.shape, grid.spacing_mm, strict=True)):
        width = protocol.scanner.psf_voxels[axis] * side / voxel_mm
        partial = np.sqrt(max(side**2 - voxel_mm**2, 0.0) / 12.0) / voxel_mm  # SD of a box of the width of a voxel
        image = blurred(image, axis, float(np.hypot(width, partial)))
        image = along(image, axis, linear_matrix(positions(n, side, voxel_mm), image.shape[axis]))
    field = smooth_noise(rng, grid.shape, BIAS_MM / voxel_mm)
    return rician(image * np.exp(np.float32(protocol.scanner.bias) * field), rng, noise)
