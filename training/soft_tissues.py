"""Renders the soft tissues around the bones in layers: skin, fat, muscles, vessels, ligaments, fluid, menisci."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import Structure, Tissue
from pipeline.grid import Grid
from pipeline.types import LabelArray
from training.canvas import RAMP_MM, Lattice, TissueTarget, steps
from training.limb import (
    COLLATERALS,
    CRUCIATES,
    FIBULA,
    MUSCLES,
    VESSELS,
    Field,
    Tube,
    extensor_tubes,
    limb_frame,
)
from training.signal import Kind


def render_soft_tissues(
    canvas: TissueTarget,
    labels: LabelArray,
    grid: Grid,
    rng: np.random.Generator,
    *,
    straightened: Callable[[Field], Field] | None = None,
) -> None:
    """Skin, fat, muscles, vessels, tendons, ligaments, synovium, fluid, menisci: everything except the labelled
    structures.

    straightened: maps coordinates (..., 3) in the frame of a flexed limb to those of the extended limb
    """
    lattice = Lattice(grid)
    frame = limb_frame(labels, grid)
    points = lattice.points_mm()
    uvw = frame.coordinates(points.reshape(-1, 3)).reshape(points.shape).astype(np.float32)
    if straightened is not None:
        uvw = straightened(uvw)
    small = lattice.sample(labels)
    femur, tibia, patella = (_distance(small, lattice, *part) for part in _KNEE_PARTS)
    plates = _distance(small, lattice, *(s for s in Structure if s.tissue is Tissue.CARTILAGE))
    bones = np.minimum(np.minimum(femur, tibia), patella)
    coarse, middle, fine = (lattice.noise(rng, cell) for cell in (40.0, 15.0, 6.0))
    patella_uvw = uvw[small == Structure.PATELLA]
    quadriceps, ligament, recess = extensor_tubes(patella_uvw if len(patella_uvw) > 20 else None)

    def cover(distance: Field, kind: Kind, *, texture: float = 0.05) -> None:
        box = lattice.box_of(distance < RAMP_MM)
        if box is not None:
            canvas.cover(box, steps(lattice.to_grid(distance, box)), kind, texture=texture)

    around = _blend(_ENVELOPE.distance(uvw), np.asarray(bones - 8.0))
    skin: Field = np.asarray(around + 1.5 * coarse, np.float32)
    cover(skin, Kind.SKIN, texture=0.1)
    cover(skin + 1.7, Kind.FAT, texture=0.07)
    inner = skin + 6.0 + 2.0 * middle
    muscles = _muscles(uvw + 1.5 * middle[..., None])
    cover(np.maximum(muscles, np.maximum(inner, 1.5 - bones)), Kind.MUSCLE, texture=0.12)
    cover(_septa(fine, middle, inner, bones), Kind.TENDON, texture=0.0)
    cover(_ellipsoid(uvw, (0.0, -28.0, 4.0), (27.0, 17.0, 24.0)) + 1.5 * fine, Kind.FAT_PAD, texture=0.14)
    cover(np.maximum(bones - 1.2 - 0.9 * fine, plates - 5.0 - 2.0 * middle), Kind.SYNOVIUM, texture=0.2)
    for vessel in VESSELS:
        cover(vessel.distance(uvw + 2.0 * middle[..., None]), Kind.VESSEL, texture=0.25)
    cover(np.maximum(FIBULA.distance(uvw), 2.5 - tibia), Kind.CORTEX)
    cover(np.maximum(FIBULA.distance(uvw) + 1.2, 3.7 - tibia), Kind.MARROW, texture=0.12)
    cover(np.maximum(recess.distance(uvw) + 0.5 * fine, -bones), Kind.FLUID, texture=0.02)
    for tube in (*CRUCIATES, *COLLATERALS, quadriceps, ligament):
        cover(tube.distance(uvw + 0.5 * fine[..., None]), Kind.TENDON, texture=0.35)
    if len(patella_uvw):  # the extensor fibres over the front of the patella
        fibres = np.maximum(patella - 1.9, uvw[..., 1] - float(patella_uvw[:, 1].mean()))
        cover(fibres + 0.4 * fine, Kind.TENDON, texture=0.35)
    film = plates - 0.15 - np.clip(0.8 * middle + 0.4 * fine - 0.7, 0.0, 1.8)
    cover(np.maximum(film, np.abs(uvw[..., 0]) - 36.0), Kind.FLUID, texture=0.02)
    if not np.isin(small, (Structure.MEDIAL_MENISCUS, Structure.LATERAL_MENISCUS)).any():
        for plate in (Structure.MEDIAL_TIBIAL_CARTILAGE, Structure.LATERAL_TIBIAL_CARTILAGE):
            cover(_meniscus(uvw, small == plate, femur, tibia, fine), Kind.MENISCUS, texture=0.2)


_KNEE_PARTS = (
    (Structure.FEMUR, Structure.FEMORAL_CARTILAGE),
    (Structure.TIBIA, Structure.MEDIAL_TIBIAL_CARTILAGE, Structure.LATERAL_TIBIAL_CARTILAGE),
    (Structure.PATELLA, Structure.PATELLAR_CARTILAGE),
)
_ENVELOPE = Tube(
    stations=(
        (0, 4, 120, 68, 62),
        (0, 4, 60, 62, 60),
        (0, 2, 25, 57, 59),
        (0, 4, -10, 54, 54),
        (0, 12, -45, 53, 50),
        (0, 14, -120, 52, 52),
    )
)


def _blend(a: Field, b: Field, width_mm: float = 14.0) -> Field:
    """Smooth union of two signed distances (polynomial minimum), without a crease."""
    share = np.clip(0.5 + 0.5 * (b - a) / width_mm, 0.0, 1.0)
    return np.asarray(b + (a - b) * share - width_mm * share * (1.0 - share), np.float32)


def _distance(small: LabelArray, lattice: Lattice, *structures: Structure) -> Field:
    """Signed distance (mm) of the given structures at the nodes; 99 everywhere if none is present."""
    mask = np.isin(small, [int(s) for s in structures])
    if not mask.any():
        return np.full(small.shape, 99.0, np.float32)
    out = ndimage.distance_transform_edt(~mask, sampling=lattice.cell_mm)
    inside = ndimage.distance_transform_edt(mask, sampling=lattice.cell_mm)
    return np.asarray(ndimage.gaussian_filter((out - inside).astype(np.float32), 0.5))


def _ellipsoid(uvw: Field, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Field:
    """Signed distance (mm), correct to first order near the surface."""
    radius = np.sqrt((((uvw - np.array(centre, np.float32)) / np.array(radii, np.float32)) ** 2).sum(-1))
    return np.asarray((radius - 1.0) * min(radii), np.float32)


def _muscles(uvw: Field) -> Field:
    """Signed distance of all muscles, with a fat plane of about 1 mm between neighbours."""
    best = np.full(uvw.shape[:3], 99.0, np.float32)
    second = best.copy()
    for muscle in MUSCLES:
        distance = muscle.distance(uvw)
        second = np.minimum(second, np.maximum(best, distance))
        best = np.minimum(best, distance)
    return np.asarray(np.maximum(best, 0.7 - 0.5 * (second - best)))


def _septa(fine: Field, middle: Field, inner: Field, bones: Field) -> Field:
    """Thin fibrous sheets in fat and muscle: where two random fields cross zero together with a coarse gate."""
    sheet = 2.2 * np.abs(fine) - 0.25
    return np.asarray(np.maximum(np.maximum(sheet, 1.0 - middle), np.maximum(inner, 3.0 - bones)))


def _meniscus(uvw: Field, plate: NDArray[np.bool_], femur: Field, tibia: Field, fine: Field) -> Field:
    """Signed distance of a wedge between femur and tibia, a C around the rim of a tibial plate, open to the midline."""
    here = uvw[plate]
    centre = 0.5 * (np.percentile(here, 3, axis=0) + np.percentile(here, 97, axis=0))
    radii = 0.5 * (np.percentile(here, 97, axis=0) - np.percentile(here, 3, axis=0)) + 1.5
    du = (uvw[..., 0] - centre[0]) / radii[0]
    dv = (uvw[..., 1] - centre[1]) / radii[1]
    inward = -du * np.sign(centre[0])
    radius = np.hypot(du, dv)
    unit = float(min(radii[0], radii[1]))
    ring = np.maximum(0.50 - radius, radius - 1.22) * unit
    opening = (inward - 0.55 * radius - 0.12) * unit * np.where(np.abs(dv) < 0.8, 1.0, 0.4)
    gap = np.maximum(femur - 4.4, tibia - 4.4)
    height = np.abs(uvw[..., 2] - centre[2] - 3.0) - 7.5
    parts = np.maximum(np.maximum(ring, opening), np.maximum(gap, height))
    return np.asarray(parts + 0.25 * fine, np.float32)
