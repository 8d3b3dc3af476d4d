"""Joint effusion for the second renderer: fluid on every plate, between the plates, and in the suprapatellar pouch."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.types import LabelArray
from training.canvas import Lattice
from training.evaluation.grids import Mask
from training.generator.materials import PLATES
from training.generator.space import box_around, distance_to, is_any, limb_coordinates, noise_on
from training.limb import Tube, extensor_tubes, limb_frame

FILM_MM: Final = (1.2, 3.0)
"""Thickness of the layer on the cartilage."""
GAP_MM: Final = 9.0
"""Widest space between two plates that is filled."""
POUCH_MM: Final = (6.0, 4.0)
"""Added to the radii of the suprapatellar recess, across and front to back."""
TIBIAL: Final = (Structure.MEDIAL_TIBIAL_CARTILAGE, Structure.LATERAL_TIBIAL_CARTILAGE)


def effusion(labels: LabelArray, grid: Grid, rng: np.random.Generator) -> Mask:
    """Where the fluid is. labels: canonical, on an isotropic grid; only background becomes fluid."""
    where = np.zeros(labels.shape, bool)
    box = box_around(is_any(labels, PLATES), round(6.0 / grid.spacing_mm[0]))
    if box is not None:
        where[box] = _on_plates(labels[box], grid.spacing_mm[0], rng)
    return (where | _pouch(labels, grid, rng)) & (labels == 0)


def _on_plates(here: LabelArray, voxel_mm: float, rng: np.random.Generator) -> Mask:
    """A layer on the cartilage, and all of the space between femoral cartilage and the opposite plates."""
    femoral = distance_to(here == Structure.FEMORAL_CARTILAGE, voxel_mm)
    opposite = distance_to(is_any(here, (*TIBIAL, Structure.PATELLAR_CARTILAGE)), voxel_mm)
    low, high = FILM_MM
    film = np.clip(0.5 * (low + high) + 0.4 * (high - low) * noise_on(here.shape, voxel_mm, 10.0, rng), low, high)
    return np.asarray((np.minimum(femoral, opposite) < film) | (femoral + opposite < GAP_MM))


def _pouch(labels: LabelArray, grid: Grid, rng: np.random.Generator) -> Mask:
    """The recess above and behind the patella, distended."""
    lattice = Lattice(grid)
    uvw = limb_coordinates(lattice, limb_frame(labels, grid), lambda straight: straight)
    patella = uvw[lattice.sample(labels) == Structure.PATELLA]
    recess = extensor_tubes(patella if len(patella) > 20 else None)[2]
    wide = [(u, v, w, ru + POUCH_MM[0], rv + POUCH_MM[1]) for u, v, w, ru, rv in recess.stations]
    distance = Tube(stations=tuple(wide)).distance(uvw) + np.float32(0.8) * lattice.noise(rng, 8.0)
    where = np.zeros(labels.shape, bool)
    box = lattice.box_of(distance < 1.0)
    if box is not None:
        where[box] = lattice.to_grid(np.asarray(distance, np.float32), box) < 0.0
    return np.asarray(where & ~ndimage.binary_dilation(is_any(labels, TIBIAL), iterations=1))
