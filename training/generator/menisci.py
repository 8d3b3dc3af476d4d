"""Menisci drawn between the condyles and the tibial plates: wedges, high at the rim, open towards the notch.

Dimensions: medial and lateral menisci are about 9 to 12 mm wide and 5 to 7 mm high at the rim; the medial one is a C
with a wider posterior horn, the lateral one nearly a circle (A. J. S. Fox et al., Clin. Anat. 28, 2015; not yet
compared with the paper).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.types import LabelArray
from training.generator.space import Mask, box_around, distance_to, is_any, noise_on
from training.limb import Field, LimbFrame


@dataclass(frozen=True, kw_only=True)
class MeniscusShape:
    """One meniscus. Lengths in mm; angle 0 points away from the midline of the knee, +-180 towards it.

    width_mm     radial, at the body; posterior: factor of the width of the posterior horn
    rim_mm       height at the rim
    opening_deg  angle of the gap towards the midline
    extrusion_mm displacement away from the midline
    """

    width_mm: float
    posterior: float
    rim_mm: float
    opening_deg: float
    extrusion_mm: float = 0.0


def draw_shape(rng: np.random.Generator, meniscus: Structure, *, extruded: bool) -> MeniscusShape:
    """Random dimensions of one meniscus."""
    medial = meniscus is Structure.MEDIAL_MENISCUS
    return MeniscusShape(
        width_mm=float(rng.uniform(8.5, 12.0)),
        posterior=float(rng.uniform(1.25, 1.6) if medial else rng.uniform(1.0, 1.2)),
        rim_mm=float(rng.uniform(5.5, 7.5)),
        opening_deg=float(rng.uniform(75, 110) if medial else rng.uniform(45, 75)),
        extrusion_mm=float(rng.uniform(3.0, 6.0)) if extruded else 0.0,
    )


PLATE_UNDER = {
    Structure.MEDIAL_MENISCUS: Structure.MEDIAL_TIBIAL_CARTILAGE,
    Structure.LATERAL_MENISCUS: Structure.LATERAL_TIBIAL_CARTILAGE,
}
PLATEAU_MM = (-8.0, -2.0)
"""Levels below a plate at which the edge of the tibial plateau is found: above them the plateau may be worn away."""
OVERHANG_MM = 4.0
"""Largest distance of the plateau's edge from that of its cartilage: beyond it lie osteophytes."""
RIM_MM = 0.8
"""The rim overhangs the edge of the plateau."""
FEMUR_GAP_MM = 0.4
TIBIA_GAP_MM = 0.2
"""Fluid or synovium between meniscus and cartilage."""


def draw_meniscus(
    labels: LabelArray,
    grid: Grid,
    frame: LimbFrame,
    meniscus: Structure,
    shape: MeniscusShape,
    rng: np.random.Generator,
) -> LabelArray:
    """Labels with one more structure; only background voxels change. grid: isotropic.

    Without its tibial plate, a meniscus is not drawn: the same array is returned.
    """
    voxel_mm = grid.spacing_mm[0]
    plate = labels == PLATE_UNDER[meniscus]
    box = box_around(plate, round(14.0 / voxel_mm))
    if box is None:
        return labels
    here = labels[box]
    start = np.array([s.start for s in box])
    index = np.stack(np.meshgrid(*map(np.arange, here.shape), indexing="ij"), -1).reshape(-1, 3) + start
    uvw = frame.coordinates(grid.to_mm(index)).reshape(*here.shape, 3).astype(np.float32)
    low, high = _plateau(uvw, plate[box], here == Structure.TIBIA)
    femur = distance_to(is_any(here, (Structure.FEMUR, Structure.FEMORAL_CARTILAGE)), voxel_mm)
    tibia = distance_to(
        is_any(
            here,
            (Structure.TIBIA, Structure.MEDIAL_TIBIAL_CARTILAGE, Structure.LATERAL_TIBIAL_CARTILAGE),
        ),
        voxel_mm,
    )
    bumps = noise_on(here.shape, voxel_mm, 6.0, rng)
    wedge = _wedge(uvw, (low, high), femur, tibia, bumps, shape)
    result = labels.copy()
    result[box][wedge & (here == 0)] = meniscus
    return result


def _plateau(uvw: Field, plate: Mask, tibia: Mask) -> tuple[Field, Field]:
    """Lowest and highest coordinates (3,) of a plateau: those of its cartilage, outwards as far as its bone.

    Where cartilage is worn away, the plate alone would put the rim under the condyle, where there is no room.
    """
    low, high = np.percentile(uvw[plate], (3, 97), axis=0)
    level = uvw[..., 2] - 0.5 * (low[2] + high[2])
    side = np.sign(low[0] + high[0])
    below = uvw[tibia & (level > PLATEAU_MM[0]) & (level < PLATEAU_MM[1]) & (side * uvw[..., 0] > 0.0)]
    if len(below):
        bone_low, bone_high = np.percentile(below, (2, 98), axis=0)
        wider_low, wider_high = np.clip(low - bone_low, 0, OVERHANG_MM), np.clip(bone_high - high, 0, OVERHANG_MM)
        outward = np.array([side > 0, True, False]), np.array([side < 0, True, False])
        high, low = np.where(outward[0], high + wider_high, high), np.where(outward[1], low - wider_low, low)
    return low, high


def _wedge(
    uvw: Field, plateau: tuple[Field, Field], femur: Field, tibia: Field, bumps: Field, shape: MeniscusShape
) -> Mask:
    """Where the meniscus is: beside the condyle, on the tibia, within the ring around the plate."""
    low, high = plateau
    centre, radii = 0.5 * (low + high), 0.5 * (high - low)
    outward = np.float32(np.sign(centre[0]))
    across = outward * (uvw[..., 0] - centre[0]) - shape.extrusion_mm
    along = uvw[..., 1] - centre[1]
    radius = np.hypot(across / radii[0], along / radii[1])
    ray = np.hypot(across, along)
    rim = ray / np.maximum(radius, 1e-3) + RIM_MM  # distance of the rim along this ray
    width = shape.width_mm * (1.0 + (shape.posterior - 1.0) * np.clip(along / radii[1], 0.0, 1.0)) + 0.6 * bumps
    share = (ray - (rim - width)) / width  # 0 at the free edge, 1 at the rim
    angle = np.degrees(np.arctan2(along, across))
    inside = np.abs(angle) < 180.0 - 0.5 * shape.opening_deg
    height = shape.rim_mm * np.clip(share, 0.0, 1.0) + 0.4 + 0.3 * bumps
    level = uvw[..., 2] - centre[2]
    ring = (share > 0.0) & (share < 1.0 + 0.05 * bumps) & inside & (radius > 0.2)  # no direction at the centre
    return np.asarray(ring & (tibia > TIBIA_GAP_MM) & (tibia < height) & (femur > FEMUR_GAP_MM) & (level > -4.0))
