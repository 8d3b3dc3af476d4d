"""The plates of the reference knee: their numbered vertices, and the frame in which all knees are unrolled."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Reference, align_bone
from pipeline.anatomy import Side, Structure
from pipeline.errors import ImplausibleAnatomy
from pipeline.flat_maps.frame import Frame, cylinder, plane
from pipeline.grid import FloatArray
from pipeline.registration import Patch
from pipeline.types import Alignment, LabelArray, Surface

PLATES_PATH: Final = Path(__file__).parents[2] / "models" / "reference_knee" / "plates.npz"
"""Made by training/reference_plates.py. Arrays per bone, `femur_points_mm` and so on: points_mm, normals, areas_mm2,
faces, thickness_mm (of the reference itself), region, subregion of the vertices under the plate and 8 mm around it;
few_mm, many_mm, many_normals for the registration. Reference frame, mm."""

KEPT_POSES: Final = 4
"""Outlines, flat maps and viewer need the pose of the same bone, which takes 0.1 to 0.2 s: tibia and patella, twice."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferencePlate:
    """One bone of the reference. thickness_mm (n,): NaN outside the plate; region, subregion (n,) uint8: 0 outside."""

    surface: Surface
    thickness_mm: FloatArray
    region: LabelArray
    subregion: LabelArray
    registered: Reference
    frame: Frame


@lru_cache(maxsize=len(Structure))
def reference_plate(structure: Structure) -> ReferencePlate:
    """A bone of the reference, read once per process."""
    with np.load(PLATES_PATH, allow_pickle=False) as stored:
        names = [name for name in stored.files if name.startswith(f"{structure.key}_")]
        arrays = {name.removeprefix(f"{structure.key}_"): stored[name] for name in names}
    real = {name: values.astype(np.float64) for name, values in arrays.items() if values.dtype == np.float32}
    surface = Surface(
        points_mm=real["points_mm"],
        faces=arrays["faces"].astype(np.int64),
        normals=real["normals"],
        vertex_areas_mm2=real["areas_mm2"],
        structure=structure,
    )
    return ReferencePlate(
        surface=surface,
        thickness_mm=real["thickness_mm"],
        region=arrays["region"],
        subregion=arrays["subregion"],
        registered=Reference(
            structure=structure,
            few=real["few_mm"],
            many=Patch(points=real["many_mm"], normals=real["many_normals"]),
        ),
        frame=_frame(surface, np.isfinite(real["thickness_mm"])),
    )


def _frame(surface: Surface, plate: NDArray[np.bool_]) -> Frame:
    points, areas = surface.points_mm[plate], surface.vertex_areas_mm2[plate]
    if surface.structure is Structure.FEMUR:
        return cylinder(points, areas)
    return plane(points, surface.normals[plate], areas, surface.structure)


def pose_of(bone: Surface, alignment: Alignment) -> Alignment | None:
    """One bone of a knee in the frame of the reference; None if it does not fit.

    `alignment` is that of the bone by which the knee was aligned. Tibia and patella move against the femur, so that
    each has a separate pose. The side is that of the knee.
    """
    if alignment.structure is bone.structure:
        return alignment
    digest = hashlib.sha256(bone.points_mm.tobytes())
    digest.update(bone.normals.tobytes())
    return _pose(_Placed(side=alignment.side, digest=digest.hexdigest(), surface=bone))


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """A bone of a known side; equal if its points and normals are."""

    side: Side
    digest: str
    surface: Surface = field(compare=False)


@lru_cache(maxsize=KEPT_POSES)
def _pose(bone: _Placed) -> Alignment | None:
    reference = reference_plate(bone.surface.structure)
    try:
        return align_bone(reference.registered, bone.surface, bone.side)
    except ImplausibleAnatomy:
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Unrolling:
    """What a viewer needs to unroll a bone. matrix (4, 4): LPS mm -> (across, up, out) of `frame`, see there."""

    matrix: FloatArray
    frame: Frame


def unrolling_of(bone: Surface, alignment: Alignment) -> Unrolling | None:
    """None if the bone does not fit the reference."""
    pose = pose_of(bone, alignment)
    if pose is None:
        return None
    frame = reference_plate(bone.structure).frame
    return Unrolling(matrix=frame.matrix @ pose.matrix, frame=frame)
