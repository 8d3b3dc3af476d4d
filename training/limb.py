"""The soft tissues around a knee as analytical shapes, without an atlas or patient data.

Shapes are given in a frame defined by the bones (mm, u medial, v posterior, w superior, origin at the centre of the
tibial plateau), and so apply to left and right knees on any grid. A shape is a signed distance, negative inside, which
needs to be exact only near the surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import Structure
from pipeline.grid import FloatArray, Grid
from pipeline.types import LabelArray

Field = NDArray[np.float32]
TIBIA_WIDTH_MM = 74.0
"""Width of the plateau for which the shapes below are given; they are scaled for other widths."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LimbFrame:
    """Axes (3, 3), rows u, v, w in LPS; origin (3,) LPS mm; scale: size of this knee relative to the shapes."""

    origin: FloatArray
    axes: FloatArray
    scale: float

    def coordinates(self, points_mm: FloatArray) -> FloatArray:
        """(n, 3) LPS mm -> (n, 3) in the frame, at the scale of the shapes."""
        return np.asarray((points_mm - self.origin) @ self.axes.T / self.scale)


def limb_frame(labels: LabelArray, grid: Grid) -> LimbFrame:
    """The frame of a knee, computed from its labels.

    Superior is from tibia to femur, anterior towards the patella, medial towards the medial tibial plate. Raises
    ValueError if femur, tibia or a tibial plate is missing.
    """
    step = tuple(max(1, round(1.4 / s)) for s in grid.spacing_mm)
    small = labels[:: step[0], :: step[1], :: step[2]]

    def points(*structures: Structure) -> FloatArray:
        index = np.argwhere(np.isin(small, [int(s) for s in structures]))
        if len(index) < 10:
            raise ValueError(f"{structures[0].title} is missing; soft tissues need femur, tibia and both tibial plates")
        return grid.to_mm(index * np.array(step))

    medial = points(Structure.MEDIAL_TIBIAL_CARTILAGE).mean(0)
    lateral = points(Structure.LATERAL_TIBIAL_CARTILAGE).mean(0)
    tibia = points(Structure.TIBIA)
    u = (medial - lateral) / np.linalg.norm(medial - lateral)
    up = points(Structure.FEMUR).mean(0) - tibia.mean(0)
    has_patella = np.count_nonzero(small == Structure.PATELLA) >= 10
    back = tibia.mean(0) - points(Structure.PATELLA).mean(0) if has_patella else np.array([0.0, 1.0, 0.0])
    w = np.array([0.0, 0.0, 1.0]) if up[2] > 0.7 * np.linalg.norm(up) else up
    w = w - (w @ u) * u
    w /= np.linalg.norm(w)
    v = back - (back @ u) * u - (back @ w) * w
    v /= np.linalg.norm(v)
    width = float(np.ptp(np.percentile((tibia - medial) @ u, (0.5, 99.5))))
    return LimbFrame(origin=0.5 * (medial + lateral), axes=np.stack([u, v, w]), scale=width / TIBIA_WIDTH_MM)


@dataclass(frozen=True, kw_only=True)
class Tube:
    """A muscle, tendon or vessel: an ellipse swept along a line of stations and interpolated between them.

    stations: (u, v, w, radius along u, radius along v), from top to bottom, mm.
    """

    stations: tuple[tuple[float, float, float, float, float], ...]

    def distance(self, uvw: Field) -> Field:
        """Signed distance, mm, at points (..., 3): in the cross-section of the limb, and along it beyond the ends."""
        table = np.array(self.stations)[::-1]
        w = uvw[..., 2]
        u0, v0, ru, rv = (np.interp(w, table[:, 2], table[:, k]).astype(np.float32) for k in (0, 1, 3, 4))
        radial = np.hypot((uvw[..., 0] - u0) / ru, (uvw[..., 1] - v0) / rv)
        end = np.maximum(table[0, 2] - w, w - table[-1, 2])
        return np.asarray(np.maximum((radial - 1.0) * np.minimum(ru, rv), end), np.float32)


MUSCLES = (
    Tube(stations=((26, 38, 95, 18, 15), (26, 41, 45, 15, 12), (26, 37, 8, 8, 6), (24, 30, -14, 5, 3))),
    Tube(stations=((10, 46, 95, 10, 9), (13, 49, 45, 8, 7), (19, 48, 10, 4, 4))),
    Tube(stations=((40, 24, 95, 6, 14), (42, 22, 35, 5, 11), (39, 24, -5, 4, 8), (28, 10, -45, 3, 7))),
    Tube(stations=((-24, 38, 95, 18, 15), (-27, 40, 45, 14, 12), (-33, 33, 10, 8, 8), (-38, 22, -14, 4, 4))),
    Tube(stations=((18, 25, 34, 8, 5), (19, 33, 12, 14, 9), (18, 38, -25, 18, 14), (17, 40, -90, 21, 18))),
    Tube(stations=((-17, 25, 30, 8, 5), (-18, 32, 10, 12, 8), (-18, 37, -25, 16, 13), (-17, 38, -90, 20, 17))),
    Tube(stations=((-14, 24, -2, 6, 4), (-2, 25, -25, 20, 7), (8, 20, -50, 14, 6), (10, 14, -75, 6, 3))),
    Tube(stations=((-6, 32, -30, 16, 8), (0, 28, -90, 30, 14))),
    Tube(stations=((-28, -4, -26, 6, 9), (-25, 0, -60, 13, 15), (-24, 2, -95, 15, 16))),
    Tube(stations=((26, -14, 95, 20, 26), (30, -13, 45, 16, 20), (27, -20, 20, 8, 10), (24, -22, 12, 3, 4))),
    Tube(stations=((-24, -14, 95, 21, 26), (-28, -15, 50, 14, 17), (-25, -22, 30, 6, 7))),
    Tube(stations=((0, -26, 95, 22, 12), (0, -27, 60, 15, 6), (0, -30, 48, 9, 2.5))),
)
VESSELS = (
    Tube(stations=((4, 32, 95, 3.6, 3.6), (1, 30, 30, 3.4, 3.4), (-1, 31, 0, 3.2, 3.2), (-2, 28, -90, 2.8, 2.8))),
    Tube(stations=((-3, 38, 95, 4.2, 4.0), (-4, 37, 30, 4.4, 4.0), (-5, 37, 0, 4.0, 3.6), (-6, 33, -90, 3.0, 3.0))),
    Tube(stations=((0, 56, 95, 1.8, 1.8), (-2, 55, 20, 1.7, 1.7), (2, 58, -90, 1.6, 1.6))),
    Tube(stations=((44, 30, 95, 1.7, 1.7), (47, 26, 10, 1.8, 1.8), (40, 10, -90, 1.6, 1.6))),
    Tube(stations=((20, 21, 14, 1.3, 1.3), (30, 14, 4, 1.2, 1.2), (36, 2, -6, 1.0, 1.0))),
    Tube(stations=((-20, 21, 12, 1.3, 1.3), (-32, 12, 2, 1.2, 1.2), (-36, 0, -8, 1.0, 1.0))),
)
FIBULA = Tube(stations=((-36, 20, -12, 7, 8), (-37, 20, -22, 9, 9.5), (-38, 21, -36, 6, 6.5), (-38, 22, -95, 5.5, 6)))
CRUCIATES = (
    Tube(stations=((-8, 12, 14, 4.0, 5.0), (-3, 2, 5, 3.5, 4.0), (1, -8, -2, 3.5, 4.5))),
    Tube(stations=((6, -2, 13, 5.0, 4.0), (4, 10, 7, 4.5, 4.0), (0, 20, -8, 5.0, 3.5))),
)
COLLATERALS = (
    Tube(stations=((40, 4, 26, 2.0, 6.0), (41, 2, 0, 1.6, 6.0), (34, 0, -40, 1.6, 5.0))),
    Tube(stations=((-40, 8, 22, 2.0, 3.0), (-40, 14, -10, 2.0, 3.0), (-39, 16, -14, 2.0, 3.0))),
)


def extensor_tubes(patella_uvw: FloatArray | None) -> tuple[Tube, Tube, Tube]:
    """(quadriceps tendon, patellar ligament, suprapatellar recess) around the patella (n, 3), or around its expected
    position.
    """
    if patella_uvw is None:
        u, front, back, top, tip = 0.0, -52.0, -34.0, 40.0, 2.0
    else:
        low, high = np.percentile(patella_uvw, (2, 98), axis=0)
        u, front, back, top, tip = float(patella_uvw[:, 0].mean()), low[1], high[1], high[2], low[2]
    middle = 0.5 * (front + back)
    quadriceps = Tube(
        stations=((0, -35.0, 110, 12, 3.0), (u, middle - 2, top + 14, 14, 3.2), (u, middle - 1, top - 4, 15, 4.0))
    )
    ligament = Tube(
        stations=(
            (u, front + 4, tip + 5, 13, 2.6),
            (0.4 * u, 0.4 * front - 20, -18, 12, 2.6),
            (-2, -26, -34, 10, 2.4),
            (-2, -22, -44, 8, 2.0),
        )
    )
    recess = Tube(
        stations=(
            (0, -31, top + 38, 5, 0.4),
            (0.3 * u, 0.5 * back - 15.5, top + 22, 11, 0.8),
            (0.7 * u, 0.8 * back - 6.5, top + 11, 15, 1.1),
            (u, back, top + 3, 16, 1.2),
            (u, back + 1, top - 3, 16, 0.7),
        )
    )
    return quadriceps, ligament, recess
