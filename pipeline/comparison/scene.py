"""The 3D scene of a comparison: the first knee's bones with the difference, both thicknesses and the regions."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeline.anatomy import TABLE_ORDER
from pipeline.comparison.changes import BoneChange
from pipeline.comparison.compare import Comparison
from pipeline.grid import FloatArray, Grid
from pipeline.quantities import THC
from pipeline.report.colours import CHANGE_RANGE_MM, DIVERGING, GREYS, THICKNESS_RANGE_MM, VIRIDIS
from pipeline.report.knee_scene import NO_PLATE, bone_mesh, region_channels
from pipeline.report.meshes import BoneMap
from pipeline.report.scene import Scalar, SceneMesh, write_scene
from pipeline.types import Alignment, ThicknessMap
from pipeline.uses import Uses

NOT_COMPARED: Final = "Not compared"


def write_comparison_scene(path: Path, comparison: Comparison, grid: Grid) -> None:
    """Write the scene as gzip. grid: of the first knee's image, see pipeline.report.scene."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, second = (Uses(flags=knee.flags).ban(THC, TABLE_ORDER) for knee in comparison.knees)
    alignment = comparison.knees[0].alignment
    meshes = [_mesh(bone, (first, second), alignment) for bone in comparison.bones]
    write_scene(path, meshes, alignment=alignment, grid=grid)


def _mesh(bone: BoneChange, bans: tuple[str, str], alignment: Alignment) -> SceneMesh:
    """bans: the reasons not to use thickness of the first and the second knee; empty where it may be used."""
    item = bone.first
    plain = plain_map(item)
    channels = (
        change_channel(bone.change_mm, bans[0] or bans[1]),
        thickness_channel("first", "First", item.thickness_mm, missing=NO_PLATE, ban=bans[0]),
        thickness_channel("second", "Second", bone.second_mm, missing=NOT_COMPARED, ban=bans[1]),
    )
    return bone_mesh(plain, (*channels, *region_channels(plain)), alignment)


def plain_map(item: ThicknessMap) -> BoneMap:
    """The bone of a compared knee."""
    return BoneMap(
        surface=item.surface,
        thickness_mm=item.thickness_mm,
        two_crossing_mm=item.thickness_mm,
        region=item.region,
        subregion=item.subregion,
    )


def change_channel(change_mm: FloatArray, ban: str) -> Scalar:
    """change_mm (n,); ban: the reason not to use it, or empty."""
    return Scalar(
        name="change",
        title="Change",
        unit=THC.unit.symbol,
        values=change_mm,
        range=CHANGE_RANGE_MM,
        colours=GREYS if ban else DIVERGING,
        missing_title=NOT_COMPARED,
        note=ban,
        usable=not ban,
    )


def thickness_channel(
    name: str, title: str, thickness_mm: FloatArray, *, missing: str, ban: str, steps: str = ""
) -> Scalar:
    """thickness_mm (n,); missing: title of points without one; ban: the reason not to use it, or empty."""
    return Scalar(
        name=name,
        title=title,
        unit=THC.unit.symbol,
        values=thickness_mm,
        range=THICKNESS_RANGE_MM,
        colours=GREYS if ban else VIRIDIS,
        missing_title=missing,
        note=ban,
        usable=not ban,
        steps=steps,
    )
