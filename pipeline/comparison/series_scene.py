"""The 3D scene of a series: the earliest visit's bones with the thickness at every visit, change and regions."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Final

from pipeline.anatomy import TABLE_ORDER
from pipeline.comparison.scene import NOT_COMPARED, change_channel, plain_map, thickness_channel
from pipeline.comparison.series import FollowedBone, Series
from pipeline.quantities import THC
from pipeline.report.knee_scene import NO_PLATE, bone_mesh, region_channels
from pipeline.report.scene import SceneMesh, write_scene
from pipeline.types import Alignment
from pipeline.uses import Uses

STEPS: Final = "Thickness"
"""Title of the thickness at all visits, through which the viewer steps."""


def write_series_scene(path: Path, series: Series) -> None:
    """Write the scene as gzip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first = series.visits[0].knee
    bans = tuple(Uses(flags=visit.knee.flags).ban(THC, TABLE_ORDER) for visit in series.visits)
    meshes = [_mesh(bone, series.years, bans, first.alignment) for bone in series.bones]
    write_scene(path, meshes, alignment=first.alignment, grid=first.grid)


def _mesh(bone: FollowedBone, years: tuple[float, ...], bans: tuple[str, ...], alignment: Alignment) -> SceneMesh:
    """bans: the reasons not to use the thickness of each visit; empty where it may be used."""
    visits = [
        thickness_channel(
            f"visit_{number}",
            f"Visit {number}, year {time:.2f}",
            values,
            missing=NO_PLATE if number == 1 else NOT_COMPARED,
            ban=ban,
            steps=STEPS,
        )
        for number, (time, values, ban) in enumerate(zip(years, bone.thickness_mm, bans, strict=True), start=1)
    ]
    change = change_channel(bone.thickness_mm[-1] - bone.thickness_mm[0], bans[0] or bans[-1])
    plain = plain_map(bone.first)
    return bone_mesh(plain, tuple(chain(visits, (change,), region_channels(plain))), alignment)
