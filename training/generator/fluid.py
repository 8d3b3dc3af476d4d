"""Joint fluid drawn into a map of materials: a film on the cartilage, and effusion where it collects."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.types import LabelArray
from training.canvas import Lattice
from training.generator.materials import BONES, PLATES, Material
from training.generator.space import (
    Mask,
    Straightened,
    box_around,
    distance_to,
    is_any,
    limb_coordinates,
    noise_on,
    surface_depth,
)
from training.limb import CRUCIATES, Field, LimbFrame, Tube, extensor_tubes

KEPT = (Material.TENDON, Material.LIGAMENT)
"""Materials that effusion flows around."""
BETWEEN_MM = 1.0
"""Half of the space between patella and femur that the smallest effusion fills."""
REACH_MM = 16.0
"""Width of the patellofemoral space that fluid can fill."""


THIN_MM = 1.0
"""Thinner films are drawn with parts of voxels; thicker ones, with recesses beside the plates, by distance."""


def with_fluid(
    materials: LabelArray,
    labels: LabelArray,
    grid: Grid,
    frame: LimbFrame,
    effusion_mm: float,
    film_mm: float,
    rng: np.random.Generator,
    straightened: Straightened,
) -> float:
    """Draw fluid in place and return its volume in cm3. Labelled voxels never become fluid."""
    materials[materials == Material.FLUID] = Material.SYNOVIUM  # only what is asked for
    film, cruciates = _film(labels, grid, film_mm, rng), rng.random() < 0.8
    where = film
    if effusion_mm > 0.0:
        where = where | _effusion(
            labels, grid, frame, effusion_mm, rng, straightened=straightened, around_cruciates=cruciates
        )
    table = np.ones(256, bool)
    table[[int(m) for m in (*KEPT, Material.AIR, Material.SKIN)]] = False
    where &= (labels == 0) & (table[materials] | film)
    materials[where] = Material.FLUID
    return float(np.count_nonzero(materials == Material.FLUID)) * grid.voxel_volume_mm3 / 1000.0


def _film(labels: LabelArray, grid: Grid, film_mm: float, rng: np.random.Generator) -> Mask:
    """A layer of varying thickness on the free surface of the cartilage."""
    where = np.zeros(labels.shape, bool)
    voxel_mm = grid.spacing_mm[0]
    box = box_around(is_any(labels, PLATES), round((2.0 * film_mm + 1.0) / voxel_mm))
    if box is None or film_mm <= 0.0:
        return where
    here = labels[box]
    thickness = film_mm * np.clip(1.0 + 0.8 * noise_on(here.shape, voxel_mm, 9.0, rng), 0.0, 2.0)
    if film_mm > THIN_MM:
        where[box] = distance_to(is_any(here, PLATES), voxel_mm) < thickness
        return where
    plates = ndimage.uniform_filter(is_any(here, PLATES).astype(np.float32), 2 * round(1.5 / voxel_mm) + 1)
    depth = surface_depth(is_any(here, (*BONES, *PLATES)), voxel_mm)
    where[box] = (depth < thickness - 0.5 * voxel_mm) & (plates > 0.1)
    return where


def _effusion(
    labels: LabelArray,
    grid: Grid,
    frame: LimbFrame,
    effusion_mm: float,
    rng: np.random.Generator,
    *,
    straightened: Straightened,
    around_cruciates: bool,
) -> Mask:
    """The suprapatellar pouch, the space between patella and femur with its recesses, and the notch."""
    lattice = Lattice(grid)
    uvw = limb_coordinates(lattice, frame, straightened)
    small = lattice.sample(labels)
    fine = lattice.noise(rng, 8.0)
    patella = uvw[small == Structure.PATELLA]
    recess = extensor_tubes(patella if len(patella) > 20 else None)[2]
    femur = _on(small, lattice, Structure.FEMUR, Structure.FEMORAL_CARTILAGE)
    cap = _on(small, lattice, Structure.PATELLA, Structure.PATELLAR_CARTILAGE)
    tibia = _on(small, lattice, Structure.TIBIA)
    wide = [(u, v, w, ru + 0.8 * effusion_mm, rv + 0.6 * effusion_mm) for u, v, w, ru, rv in recess.stations]
    pouch = Tube(stations=tuple(wide)).distance(uvw) + 1.2 * fine
    low, high = np.percentile(patella, (2, 98), axis=0) if len(patella) > 20 else (np.zeros(3), np.zeros(3))
    front = uvw[..., 1] - (low[1] if len(patella) > 20 else -60.0)
    level = np.abs(uvw[..., 2] - 0.5 * (low[2] + high[2])) - 0.5 * (high[2] - low[2]) - effusion_mm
    # recesses beside the patella: on the femur, behind the patella's front, within its height
    beside = np.maximum(np.maximum(femur - 0.7 * effusion_mm, cap - REACH_MM), np.maximum(level, 6.0 - front))
    back = uvw[..., 1] + 18.0  # only in front of the condyles
    # between patella and femur, also where the patella has no cartilage: its upper pole
    between = 0.5 * (femur + cap) - BETWEEN_MM - 0.5 * effusion_mm
    shape = np.minimum(pouch, np.maximum(np.minimum(beside, between), back) + 0.6 * fine)
    if around_cruciates:
        near = np.minimum(*(c.distance(uvw) for c in CRUCIATES))
        notch = np.maximum(near - 0.7 * effusion_mm, 0.8 - np.minimum(femur, tibia))
        shape = np.minimum(shape, notch + 1.6 * fine)
    where = np.zeros(labels.shape, bool)
    box = lattice.box_of(shape < 1.0)
    if box is not None:
        where[box] = lattice.to_grid(np.asarray(shape, np.float32), box) < 0.0
    return where


def _on(small: LabelArray, lattice: Lattice, *structures: Structure) -> Field:
    """Distance (mm) to the structures at the nodes; 99 if absent."""
    mask = is_any(small, structures)
    if not mask.any():
        return np.full(small.shape, 99.0, np.float32)
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=lattice.cell_mm), np.float32)
