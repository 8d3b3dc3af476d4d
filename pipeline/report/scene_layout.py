"""Layout of a knee in the 3D viewer: its directions, the views, and the positions of the bones.

In the axes of the knee: x to the patient's left, y superior, z anterior. Seen from the front, x is to the right
and y up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.anatomy import Side, Structure
from pipeline.grid import FloatArray
from pipeline.types import Alignment

APART_MM: Final[Mapping[str, tuple[float, float, float]]] = {
    Structure.TIBIA.key: (0.0, -34.0, 0.0),
    Structure.PATELLA.key: (0.0, 0.0, 34.0),
}
"""Displacements along the knee's axes, so that the joint surfaces are visible and directions are preserved."""

OPENED: Final[Mapping[str, tuple[str, float]]] = {
    Structure.FEMUR.key: ("x", -66.0),
    Structure.TIBIA.key: ("x", 64.0),
    Structure.PATELLA.key: ("y", 180.0),
}
"""Axis and angle (degrees) that rotate each joint surface to the front: the femur from below, the tibia from above, the
patella from behind. Slightly less than 90 degrees, so that the anterior part of the trochlea stays visible."""

GAP_MM: Final = 9.0
"""Gap between two bones in the opened layout."""


def anatomical_axes(alignment: Alignment) -> FloatArray:
    """(3, 3): rows left, superior, anterior as orthonormal vectors in LPS, from the alignment to the reference."""
    linear = alignment.matrix[:3, :3]
    u, _, v = np.linalg.svd(linear)
    medial, posterior, superior = u @ v
    # the reference frame is that of a right knee for both sides: +x is medial, which is the patient's left only on the
    # right
    left = medial if alignment.side is Side.RIGHT else -medial
    return np.stack([left, superior, -posterior])


def views(side: Side) -> list[dict[str, object]]:
    """Title and direction from the knee towards the viewer."""
    medial = 1.0 if side is Side.RIGHT else -1.0
    directions = (
        ("Anterior", (0.0, 0.0, 1.0)),
        ("Medial", (medial, 0.0, 0.0)),
        ("Lateral", (-medial, 0.0, 0.0)),
        ("Posterior", (0.0, 0.0, -1.0)),
        ("Superior", (0.0, 1.0, 0.0)),
        ("Inferior", (0.0, -1.0, 0.0)),
    )
    return [{"title": title, "towards": towards} for title, towards in directions]


def layouts(meshes: Mapping[str, tuple[str, FloatArray]], side: Side) -> list[dict[str, object]]:
    """The layouts of meshes, given by key as (bone with which it moves, its points (n, 3) in the knee's axes)."""
    bones = {key: points for key, (bone, points) in meshes.items() if key == bone}
    opened, apart = _opened(bones, side), _apart(bones)
    return [
        {
            "id": name,
            "title": title,
            "hint": hint,
            "anatomical": name != "opened",
            "placed": {key: placed.get(bone, np.eye(4)).reshape(-1).tolist() for key, (bone, _) in meshes.items()},
        }
        for name, title, hint, placed in (
            ("opened", "Opened", "Femur from below, tibia from above, patella from behind", opened),
            ("apart", "Apart", "Bones moved apart, directions unchanged", apart),
            ("together", "As it is", "The knee as it was scanned", {}),
        )
    ]


def _apart(bones: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    placed = {}
    for key in bones:
        placed[key] = np.eye(4)
        placed[key][:3, 3] = APART_MM.get(key, (0.0, 0.0, 0.0))
    return placed


def _opened(bones: Mapping[str, FloatArray], side: Side) -> dict[str, FloatArray]:
    """Tibia below femur, patella next to them on the lateral side, all in one plane in front of the viewer."""
    turned = {}
    for key, points in bones.items():
        axis, degrees = OPENED.get(key, ("x", 0.0))
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
        turn[:3, 3] = -turn[:3, :3] @ middle
        local = points @ turn[:3, :3].T + turn[:3, 3]
        turned[key] = (turn, local.min(axis=0), local.max(axis=0))
    femur, tibia, patella = (bone.key for bone in (Structure.FEMUR, Structure.TIBIA, Structure.PATELLA))
    lateral = -1.0 if side is Side.RIGHT else 1.0
    edge = 0.0
    for key, sign in ((femur, 1.0), (tibia, -1.0)):
        if key in turned:
            matrix, low, high = turned[key]
            matrix[1, 3] += sign * GAP_MM / 2 - (low[1] if sign > 0 else high[1])
            # front surfaces are moved to one plane: otherwise perspective would show one bone larger than the other
            matrix[2, 3] -= high[2]
            edge = max(edge, high[0], -low[0])
    if patella in turned:
        matrix, low, high = turned[patella]
        matrix[2, 3] -= high[2]
        if edge:
            matrix[0, 3] += lateral * (edge + GAP_MM + (high[0] - low[0]) / 2)
    return {key: matrix for key, (matrix, _, _) in turned.items()}
