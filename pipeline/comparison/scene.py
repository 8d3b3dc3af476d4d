"""The 3D scene of a comparison: the first knee's bones with the difference, both thicknesses and the regions."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeline.comparison.changes import BoneChange
from pipeline.comparison.compare import Comparison
from pipeline.grid import FloatArray, Grid
from pipeline.quantities import THC
from pipeline.report.colours import CHANGE_RANGE_MM, DIVERGING, THICKNESS_RANGE_MM, VIRIDIS
from pipeline.report.knee_scene import NO_PLATE, bone_mesh, region_channel
from pipeline.report.meshes import BoneMap
from pipeline.report.scene import Scalar, SceneMesh, write_scene

NOT_COMPARED: Final = "Not compared"


def write_comparison_scene(path: Path, comparison: Comparison, grid: Grid) -> None:
    """Write the scene as gzip. grid: of the first knee's image, see pipeline.report.scene."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meshes = [_mesh(bone) for bone in comparison.bones]
    write_scene(path, meshes, alignment=comparison.knees[0].alignment, grid=grid)


def _mesh(bone: BoneChange) -> SceneMesh:
    item = bone.first
    plain = BoneMap(
        surface=item.surface, thickness_mm=item.thickness_mm, two_crossing_mm=item.thickness_mm, region=item.region
    )
    difference = Scalar(
        name="change",
        title="Change",
        unit=THC.unit.symbol,
        values=bone.change_mm,
        range=CHANGE_RANGE_MM,
        colours=DIVERGING,
        missing_title=NOT_COMPARED,
    )
    both = (
        _thickness("first", "First", item.thickness_mm, NO_PLATE),
        _thickness("second", "Second", bone.second_mm, NOT_COMPARED),
    )
    return bone_mesh(plain, (difference, *both, region_channel(plain)))


def _thickness(name: str, title: str, values: FloatArray, missing: str) -> Scalar:
    return Scalar(
        name=name,
        title=title,
        unit=THC.unit.symbol,
        values=values,
        range=THICKNESS_RANGE_MM,
        colours=VIRIDIS,
        missing_title=missing,
    )
