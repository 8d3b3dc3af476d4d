"""The 3D scene of one analysis: bones with thickness, T2 and region at every vertex, and the soft tissue on them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import (
    BONE_OF,
    FEMUR_WHOLE,
    REGION_SCHEME,
    SCHEMES,
    SUBREGION_SCHEME,
    TABLE_ORDER,
    Structure,
    Tissue,
)
from pipeline.flat_maps.reference import unrolling_of
from pipeline.grid import FloatArray, Grid
from pipeline.joint_space import COMPARTMENTS, joint_space
from pipeline.parts import COMPUTED, Parts
from pipeline.quantities import JOINT_SPACE, PRIMARY, THC, Quantity
from pipeline.report.colours import GREYS, THICKNESS_RANGE_MM, VIRIDIS
from pipeline.report.measured_knee import Shown
from pipeline.report.meshes import BoneMap, bone_maps
from pipeline.report.scene import Categories, Scalar, SceneMesh
from pipeline.surface import SMOOTHING_VARIANCE_MM2, Field, contour, smoothed
from pipeline.t2.on_surface import t2_on_surface
from pipeline.types import Alignment, RelaxationMap, Segmentation
from pipeline.uses import Uses

JOINT_SPACE_RANGE_MM: Final = (0.0, 10.0)
"""Fixed, so that two knees can be compared visually."""

UNLOADED: Final = "Bone to bone, without load: not a radiograph's joint space"

COARSE_MM: Final = 0.75
"""Soft tissue uses every second voxel if that is still as fine as the Gaussian (0.71 mm): 1/4 of the triangles, without
a visible difference on a translucent surface.
"""

GROUPS: Final = {Tissue.BONE: "Bones", Tissue.CARTILAGE: "Cartilage", Tissue.MENISCUS: "Menisci"}
OPACITY: Final = {Tissue.BONE: 1.0, Tissue.CARTILAGE: 0.55, Tissue.MENISCUS: 0.8}
MENISCI_LIE_ON: Final = Structure.TIBIA

NO_PLATE: Final = "Outside the cartilage"


def knee_meshes(knee: Shown, parts: Parts = COMPUTED) -> tuple[SceneMesh, ...]:
    """The bones, then the segmented soft tissue (initially hidden, because it covers the colours on the bone)."""
    bones = [_bone(bone, knee, parts) for bone in bone_maps(knee.thickness)]
    soft = (
        _soft(structure, knee.segmentation, parts) for structure in Structure if structure.tissue is not Tissue.BONE
    )
    return (*bones, *(mesh for mesh in soft if mesh is not None))


def bone_mesh(
    bone: BoneMap, channels: tuple[Scalar | Categories, ...], alignment: Alignment, parts: Parts = COMPUTED
) -> SceneMesh:
    """A bone at full resolution with the given channels, and its flat map where it has one."""
    structure = bone.surface.structure
    return SceneMesh(
        key=structure.key,
        title=structure.title,
        bone=structure.key,
        group=GROUPS[structure.tissue],
        colour=structure.colour,
        points_mm=bone.surface.points_mm,
        faces=bone.surface.faces,
        channels=channels,
        unrolling=parts.value(unrolling_of, bone.surface, alignment) if bone.region.any() else None,
    )


def region_channels(bone: BoneMap) -> tuple[Categories, ...]:
    """The region of each vertex in every scheme that divides the plate, with the regions of all bones as categories."""
    labels = {REGION_SCHEME: bone.region, SUBREGION_SCHEME: bone.subregion}
    return tuple(
        Categories(
            name=scheme.id,
            title=scheme.title,
            labels=labels[scheme],
            entries=tuple((region.label, region.title, region.colour) for region in scheme.numbered),
            missing_title=NO_PLATE,
        )
        for scheme in SCHEMES
    )


COVERED: Final = 1
BARE: Final = ((2, "Denuded", (213, 94, 0)), (3, "Lost from the rim", (204, 121, 167)))
"""Bone without cartilage: enclosed by the plate, and within the outline of a healthy plate."""


def denuded_channel(bone: BoneMap) -> Categories:
    """Where bone is covered, where it is denuded, and where cartilage was lost from the rim inwards."""
    covered = np.nan_to_num(bone.thickness_mm, nan=0.0) > 0
    labels = np.where(covered, COVERED, np.where(bone.region > 0, BARE[0][0], 0)).astype(np.uint8)
    if bone.worn is not None:
        labels[bone.worn > 0] = BARE[1][0]
    return Categories(
        name="denuded",
        title="Denuded bone",
        labels=labels,
        entries=((COVERED, "Covered", (143, 188, 203)), *BARE),
        missing_title=NO_PLATE,
        divides=False,
    )


def _bone(bone: BoneMap, knee: Shown, parts: Parts) -> SceneMesh:
    uses = Uses(flags=knee.flags)
    ban = uses.ban(THC, TABLE_ORDER)
    channels: list[Scalar | Categories] = [
        Scalar(
            name="thickness",
            title="Thickness",
            unit=THC.unit.symbol,
            values=bone.thickness_mm,
            range=THICKNESS_RANGE_MM,
            colours=GREYS if ban else VIRIDIS,
            missing_title=NO_PLATE,
            note=ban or uses.note(THC, FEMUR_WHOLE),
            usable=not ban,
        )
    ]
    if knee.t2 is not None:
        channels += _relaxation(bone, knee, knee.t2, uses)
    channels += [*region_channels(bone), denuded_channel(bone), *_joint_space(bone, knee, uses, parts)]
    return bone_mesh(bone, tuple(channels), knee.alignment, parts)


def _relaxation(bone: BoneMap, knee: Shown, found: RelaxationMap, uses: Uses) -> list[Scalar]:
    """T2 or T1rho of all cartilage above each vertex, and of both layers."""
    shown, depths = found.relaxation, t2_on_surface(bone.surface, bone.thickness_mm, found, knee.subregions)
    return [
        Scalar(
            name=name,
            title=quantity.short,
            unit=quantity.unit.symbol,
            values=values,
            range=shown.surface_ms,
            colours=VIRIDIS,
            missing_title=f"No {shown.title}",
            resolution=0.01,
            decimals=quantity.digits,
            note=_local_note(uses, quantity),
            usable=not uses.ban(quantity, TABLE_ORDER),
        )
        for name, quantity, values in (
            ("t2", shown.whole, depths.whole),
            ("t2_deep", shown.deep, depths.deep),
            ("t2_superficial", shown.superficial, depths.superficial),
        )
    ]


def _joint_space(bone: BoneMap, knee: Shown, uses: Uses, parts: Parts) -> tuple[Scalar, ...]:
    """On the tibia: the distance to the femur, where there is one."""
    maps = {item.surface.structure: item for item in knee.thickness if item.method is PRIMARY}
    femur, tibia = maps.get(Structure.FEMUR), maps.get(Structure.TIBIA)
    if femur is None or tibia is None or bone.surface.structure is not Structure.TIBIA:
        return ()
    ban = uses.ban(JOINT_SPACE, COMPARTMENTS)
    channel = Scalar(
        name=JOINT_SPACE.id,
        title=JOINT_SPACE.short,
        unit=JOINT_SPACE.unit.symbol,
        values=parts.value(joint_space, femur.surface, tibia),
        range=JOINT_SPACE_RANGE_MM,
        colours=GREYS if ban else VIRIDIS,
        missing_title=NO_PLATE,
        note=ban or UNLOADED,
        usable=not ban,
    )
    return (channel,)


def _local_note(uses: Uses, quantity: Quantity) -> str:
    """What to say of the map where only the values of whole plates may be used."""
    parts, whole = uses.ban(quantity, TABLE_ORDER), uses.note(quantity, FEMUR_WHOLE)
    return f"Local values: {parts[:1].lower()}{parts[1:]}" if parts else whole


def _soft(structure: Structure, segmentation: Segmentation, parts: Parts) -> SceneMesh | None:
    """One plate or meniscus from its labels; None if it is absent or too small for a surface."""
    found = soft_surface(structure, segmentation, parts)
    if found is None:
        return None
    points, faces = found
    return SceneMesh(
        key=structure.key,
        title=structure.title,
        bone=BONE_OF.get(structure, MENISCI_LIE_ON).key,
        group=GROUPS[structure.tissue],
        colour=structure.colour,
        points_mm=points,
        faces=faces,
        opacity=OPACITY[structure.tissue],
        shown=False,
    )


def soft_surface(
    structure: Structure, segmentation: Segmentation, parts: Parts = COMPUTED
) -> tuple[FloatArray, NDArray[np.int64]] | None:
    """(points (n, 3) LPS mm, faces (m, 3) outward) of a structure, with the same smoothing as bones."""
    box = segmentation.boxes.get(structure)
    if box is None:
        return None
    return parts.value(_soft_surface_of, segmentation.labels[box] == structure, segmentation.grid.part(box))


def _soft_surface_of(mask: NDArray[np.bool_], grid: Grid) -> tuple[FloatArray, NDArray[np.int64]] | None:
    fine = smoothed(mask, grid, SMOOTHING_VARIANCE_MM2)
    every = [max(1, int(COARSE_MM / spacing)) for spacing in grid.spacing_mm]
    values = np.ascontiguousarray(fine.values[:: every[0], :: every[1], :: every[2]])
    coarse = Grid(
        shape=(values.shape[0], values.shape[1], values.shape[2]),
        spacing_mm=tuple(k * s for k, s in zip(every, grid.spacing_mm, strict=True)),  # type: ignore[arg-type]
        origin_mm=fine.grid.origin_mm,
        direction=grid.direction,
    )
    local, faces = contour(Field(values=values, grid=coarse))
    if not len(faces):
        return None
    points = local @ coarse.direction.T + coarse.origin_mm
    a, b, c = (points[faces[:, k]] - points[0] for k in range(3))
    volume = float(np.einsum("ij,ij->", a, np.cross(b, c)))
    return points, faces if volume > 0 else np.ascontiguousarray(faces[:, ::-1])
