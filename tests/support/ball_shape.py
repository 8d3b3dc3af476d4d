"""A decoder of the built-in type with shapes given by a formula: an elongated ball with cartilage on its lower part.

It is longest along y, so that its rotation is known. The first latent number lengthens it along x and makes it thinner
in the other directions; the second thickens the cartilage. The correction of its network is zero.
"""

from __future__ import annotations

import numpy as np

from pipeline.anatomy import Side, Structure
from pipeline.grid import Grid
from pipeline.shape.built_in.decoder import WAVES, FieldDecoder
from pipeline.shape.built_in.lattice import Lattice
from pipeline.surface import LEVEL, Field, iso_surface
from pipeline.types import Alignment

RADIUS_MM = 30.0
BULGE_MM = 3.0
PLATE_MM = 2.5
THICKER_MM = 0.5
LOW, HIGH = np.full(3, -42.0), np.full(3, 42.0)
SPACING_MM = 1.0


def fields(points, latent=(0.0, 0.0)):
    """(n, 2): distance to the ball and thickness of its cartilage, mm, at points (n, 3) mm."""
    far = np.maximum(np.linalg.norm(points, axis=1), 1e-6)
    along, back, up = (points[:, 0] / far) ** 2, (points[:, 1] / far) ** 2, points[:, 2] / far
    bone = far - RADIUS_MM - 2 * BULGE_MM * back - latent[0] * BULGE_MM * (along - 1 / 3)
    # full below -0.3, zero above, with a smooth transition that a lattice can represent
    share = np.clip((-0.1 - up) / 0.2, -1, 1)
    return np.stack([bone, (PLATE_MM + latent[1] * THICKER_MM) * share], axis=1)


def ball_decoder():
    fine, coarse = Lattice.over(LOW, HIGH, 2.0), Lattice.over(LOW, HIGH, 4.0)
    mean = fields(fine.nodes())
    nodes = coarse.nodes()
    modes = np.stack([fields(nodes, unit) - fields(nodes) for unit in np.eye(2)], axis=-1)
    inputs = 2 + 3 + 6 * len(WAVES)
    return FieldDecoder(
        fine=fine,
        mean=mean.astype(np.float32),
        coarse=coarse,
        rows=np.arange(coarse.size),
        modes=np.ascontiguousarray(modes.transpose(1, 0, 2), dtype=np.float32),
        layers=((np.zeros((inputs, 2), np.float32), np.zeros(2, np.float32)),),
    )


def ball(latent, turn, place_mm, side=Side.RIGHT, growth=1.0):
    """Bone and cartilage in LPS mm, scaled by `growth`, rotated and moved, and an approximate alignment."""
    mirror = np.diag([1.0 if side is Side.RIGHT else -1.0, 1.0, 1.0])
    n = round((HIGH[0] - LOW[0]) / SPACING_MM)
    grid = Grid(
        shape=(n, n, n), spacing_mm=(SPACING_MM * growth,) * 3, origin_mm=place_mm + LOW * growth, direction=np.eye(3)
    )
    index = np.stack(np.meshgrid(*(np.arange(n),) * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    points = (grid.to_mm(index) - place_mm) @ (mirror @ turn.as_matrix()).T / growth
    bone, thickness = fields(points, latent).T
    surfaces = []
    for structure, solid in (
        (Structure.FEMUR, bone),
        (Structure.FEMORAL_CARTILAGE, np.maximum(-bone, bone - thickness)),
    ):
        inside = np.clip(LEVEL - solid / (4 * SPACING_MM), 0, 1).reshape(n, n, n)
        surfaces.append(iso_surface(Field(values=inside.astype(np.float32), grid=grid), structure))
    matrix = np.eye(4)
    matrix[:3, :3] = mirror / growth
    matrix[:3, 3] = -matrix[:3, :3] @ place_mm
    return *surfaces, Alignment(matrix=matrix, side=side, residual_mm=0.5, residual_other_mm=2.0)
