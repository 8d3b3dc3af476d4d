"""Axes of the tibial plateau, taken from its two plates, and the outline of a plate.

superior  normal of the plane through both plates (least squares, weighted by area), away from the bone
medial    from the centre of the lateral to that of the medial plate, perpendicular to superior
posterior perpendicular to both
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import TIBIA_LATERAL, TIBIA_MEDIAL, Region, Side
from pipeline.grid import FloatArray
from pipeline.types import ThicknessMap

MEDIAL, POSTERIOR, SUPERIOR = 0, 1, 2
"""Columns of points in the plateau's frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Plateau:
    """The tibia in the frame of its plateau.

    tibia     its thickness map: the plates are the vertices with a region
    axes      (3, 3) rows: medial, posterior, superior, unit vectors in LPS
    points_mm (n, 3) the vertices along these axes, from the centre of both plates
    origin_mm (3,) that centre, LPS
    """

    tibia: ThicknessMap
    axes: FloatArray
    points_mm: FloatArray
    origin_mm: FloatArray

    def to_plateau(self, points_mm: FloatArray) -> FloatArray:
        """(n, 3) LPS mm -> (n, 3) along the plateau's axes, mm."""
        along: FloatArray = (points_mm - self.origin_mm) @ self.axes.T
        return along

    def to_lps(self, along: FloatArray) -> FloatArray:
        """The inverse of `to_plateau`."""
        points: FloatArray = along @ self.axes + self.origin_mm
        return points

    def plate(self, region: Region) -> NDArray[np.bool_]:
        """(n,): the vertices of one plate, denuded ones included."""
        return in_plate(self.tibia, region)

    def outline(self, region: Region) -> FloatArray:
        """(k, 3) mm along the axes: the middles of the surface's edges that lead out of a plate.

        A vertex represents its surroundings, so that the plate ends between its last vertex and the next one.
        """
        inside, faces = self.plate(region), self.tibia.surface.faces
        edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        leaving = edges[inside[edges[:, 0]] & ~inside[edges[:, 1]]]  # each edge once: its other face runs backwards
        middles: FloatArray = self.points_mm[leaving].mean(axis=1)
        return middles


def in_plate(tibia: ThicknessMap, region: Region) -> NDArray[np.bool_]:
    """(n,): the vertices of one tibial plate, denuded ones included."""
    inside: NDArray[np.bool_] = np.isfinite(tibia.thickness_mm) & (tibia.region == region.label)
    return inside


def plateau_of(tibia: ThicknessMap, side: Side) -> Plateau | None:
    """None unless both plates are present."""
    medial, lateral = in_plate(tibia, TIBIA_MEDIAL), in_plate(tibia, TIBIA_LATERAL)
    surface, both = tibia.surface, medial | lateral
    areas = surface.vertex_areas_mm2
    if not (areas[medial].sum() > 0 and areas[lateral].sum() > 0):
        return None
    centre = np.average(surface.points_mm[both], axis=0, weights=areas[both])
    centred = (surface.points_mm[both] - centre) * np.sqrt(areas[both])[:, None]
    superior = np.linalg.svd(centred.T @ centred)[0][:, 2]
    superior *= np.sign((areas[both, None] * surface.normals[both]).sum(axis=0) @ superior)
    across = np.average(surface.points_mm[medial], axis=0, weights=areas[medial]) - np.average(
        surface.points_mm[lateral], axis=0, weights=areas[lateral]
    )
    across -= (across @ superior) * superior
    towards_medial = across / np.linalg.norm(across)
    # LPS is right-handed and medial is left of a right knee: posterior is superior x medial there
    posterior = np.cross(superior, towards_medial) * (1.0 if side is Side.RIGHT else -1.0)
    axes = np.stack([towards_medial, posterior, superior])
    return Plateau(tibia=tibia, axes=axes, points_mm=(surface.points_mm - centre) @ axes.T, origin_mm=centre)
