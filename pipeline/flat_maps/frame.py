"""How a plate is unrolled: the femur around a cylinder, tibia and patella along the normal of a plane.

Source of the femoral rule: Monu et al. 2017 (PMC5359021). The cylinder here is that of the reference knee, whose medial
axis joins the centres of the posterior condyles; see docs/methods.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.anatomy import Structure
from pipeline.anatomy.subregions import ANTERIOR
from pipeline.grid import FloatArray

DEGREES: Final = "deg"
MILLIMETRES: Final = "mm"

MEDIAL, POSTERIOR, SUPERIOR = np.eye(3)
"""Axes of the reference frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """Maps points of the reference frame (mm) into the plane of a flat map.

    matrix    (4, 4) homogeneous: reference mm -> (across, up, out), mm; across increases towards medial
    radius_mm of the cylinder, whose axis is `across`; None: a plane, of which `out` is the normal
    upwards   (positive, negative) end of the second coordinate, e.g. anterior and posterior
    """

    matrix: FloatArray
    radius_mm: float | None
    upwards: tuple[str, str]

    @property
    def unit(self) -> str:
        """Of the second coordinate."""
        return MILLIMETRES if self.radius_mm is None else DEGREES

    @property
    def mm_per_unit(self) -> float:
        """Length along the surface of the cylinder, or in the plane, of one unit of the second coordinate."""
        return 1.0 if self.radius_mm is None else float(np.radians(self.radius_mm))

    def coordinates(self, points_ref: FloatArray) -> FloatArray:
        """(n, 3) reference mm -> (n, 2): across (mm, medial positive) and up (degrees or mm).

        Degrees count from the distal end of the femur, anterior positive, from -180 to 180.
        """
        across, up, out = (points_ref @ self.matrix[:3, :3].T + self.matrix[:3, 3]).T
        if self.radius_mm is not None:
            up = np.degrees(np.arctan2(up, out))
        return np.stack([across, up], axis=1)


def fit_circle(points: FloatArray, weights: FloatArray) -> tuple[FloatArray, float]:
    """((2,) centre, radius) of the circle through points (n, 2), least squares of the algebraic distance.

    Kasa, IEEE Trans Instrum Meas 1976; 25: 8-14: |p|^2 = 2 c p + (r^2 - |c|^2) is linear in c and the last term.
    """
    middle = np.average(points, axis=0, weights=weights)
    offset, root = points - middle, np.sqrt(weights)[:, None]
    columns = np.column_stack([2 * offset, np.ones(len(offset))])
    solution = np.linalg.lstsq(columns * root, np.square(offset).sum(axis=1, keepdims=True) * root, rcond=None)[0]
    centre, rest = solution[:2, 0], solution[2, 0]
    return centre + middle, float(np.sqrt(rest + centre @ centre))


def cylinder(points: FloatArray, areas_mm2: FloatArray) -> Frame:
    """Around the bone under the femoral cartilage, (n, 3) reference mm, fitted in the sagittal projection.

    Its axis is the medial axis of the frame. `up` is anterior and `out` is distal.
    """
    centre, radius = fit_circle(points[:, 1:], areas_mm2)
    middle = np.average(points[:, 0], weights=areas_mm2)
    axes = np.stack([MEDIAL, -POSTERIOR, -SUPERIOR])
    return Frame(
        matrix=_homogeneous(axes, np.array([middle, *centre])), radius_mm=radius, upwards=(ANTERIOR, "posterior")
    )


def plane(points: FloatArray, normals: FloatArray, areas_mm2: FloatArray, structure: Structure) -> Frame:
    """Of best fit through the bone under a plate, (n, 3) reference mm with outward normals (n, 3).

    `up` is anterior on the tibia and superior on the patella.
    """
    centre = np.average(points, axis=0, weights=areas_mm2)
    spread = ((points - centre) * areas_mm2[:, None]).T @ (points - centre)
    normal = np.linalg.eigh(spread)[1][:, 0]
    normal = normal * np.sign(areas_mm2 @ (normals @ normal))
    tibia = structure is Structure.TIBIA
    across = MEDIAL - (MEDIAL @ normal) * normal
    across /= np.linalg.norm(across)
    up = np.cross(normal, across)
    up *= np.sign(up @ (-POSTERIOR if tibia else SUPERIOR))
    upwards = (ANTERIOR, "posterior") if tibia else ("superior", "inferior")
    return Frame(matrix=_homogeneous(np.stack([across, up, normal]), centre), radius_mm=None, upwards=upwards)


def _homogeneous(axes: FloatArray, origin: FloatArray) -> FloatArray:
    """(4, 4): points -> along the axes (3, 3; rows), from the origin (3,)."""
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = -axes @ origin
    return matrix
